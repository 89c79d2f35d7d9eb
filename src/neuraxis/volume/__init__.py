"""Arrays in space."""
