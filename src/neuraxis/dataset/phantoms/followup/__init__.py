"""Brains with lesions of multiple sclerosis at two time points, and what changed between them."""
