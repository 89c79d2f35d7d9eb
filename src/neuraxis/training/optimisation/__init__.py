"""How weights move, and what the validations have a say in."""
