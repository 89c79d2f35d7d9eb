"""`explain`: what a model looked at in scans, as volumes and as a page."""
