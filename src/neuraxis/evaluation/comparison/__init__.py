"""Several segmenters on the same cases: side by side, with paired tests."""
