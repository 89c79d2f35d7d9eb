"""Results as BIDS derivatives: how files are named, and what lies beside them."""
