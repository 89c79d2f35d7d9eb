"""Choosing among runs of all folds, their ensembles and rules of post-processing, and what the choice is worth."""
