"""Sections on agreement: volumes, probabilities, raters, and scores by site and size."""
