"""Whole datasets in the layout that another program trains from."""
