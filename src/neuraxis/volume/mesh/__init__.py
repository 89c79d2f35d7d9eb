"""Surfaces of labels: how they are found, smoothed and written."""
