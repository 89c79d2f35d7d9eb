"""`check`: whole datasets, and scans as they come before a segmentation."""
