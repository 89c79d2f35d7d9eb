"""Readers of folder layouts: one file a layout."""
