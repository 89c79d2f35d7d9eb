"""Vertebrae in the order of the spine: each name once, none left out between two, and unknown rather than guessed."""
