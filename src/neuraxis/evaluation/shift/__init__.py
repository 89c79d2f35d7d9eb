"""Domain shift: whether scans of different sites, scanners or channels are alike, as numbers and as maps."""
