"""Cases, labels, splits, and the checks on them."""
