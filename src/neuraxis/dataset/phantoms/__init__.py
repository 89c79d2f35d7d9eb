"""Synthetic scans with exact ground truth."""
