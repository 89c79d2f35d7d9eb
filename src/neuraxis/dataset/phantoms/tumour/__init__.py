"""Brains with a tumour in four contrasts."""
