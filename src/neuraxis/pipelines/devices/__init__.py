"""A run whose training several devices share."""
