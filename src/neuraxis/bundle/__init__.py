"""A model as one file: weights, recipe, labels and card, without code."""
