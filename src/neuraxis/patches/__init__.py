"""Cutting prepared volumes into patches and merging predictions back."""
