"""One file a family of losses."""
