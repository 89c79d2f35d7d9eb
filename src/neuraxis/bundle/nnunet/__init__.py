"""Models that nnU-Net trained: read, checked and turned into bundles."""
