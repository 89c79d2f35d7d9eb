"""Augmented copies of prepared cases, made before training."""
