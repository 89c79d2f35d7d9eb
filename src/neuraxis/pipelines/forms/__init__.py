"""The forms in which scans and label maps go out, for `convert` and for `segment --as`."""
