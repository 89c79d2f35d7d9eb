"""Batched augmentation on torch tensors; every draw is a function of (seed, step, sample)."""
