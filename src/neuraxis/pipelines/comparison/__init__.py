"""Several runs, bundles or other programs on the same cases; and whether domains of cases differ."""
