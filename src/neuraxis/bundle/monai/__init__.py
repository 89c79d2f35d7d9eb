"""Bundles of MONAI: read, checked and turned into bundles of ours."""
