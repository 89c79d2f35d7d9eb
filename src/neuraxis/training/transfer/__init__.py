"""Weights of another model as a beginning."""
