"""From prepared volumes to weights: the Lightning task, its data, callbacks and checkpoints."""
