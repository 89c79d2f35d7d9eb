"""Branches of the recipe that few runs need."""
