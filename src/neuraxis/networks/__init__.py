"""One file a network, readable alone."""
