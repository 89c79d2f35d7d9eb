"""An exploration of a dataset as one page: what the scans are like, and which ones are unlike the others."""
