"""Runs as they lie on disk: which there are, how they stand, how one is stopped, what they show, and what can go."""
