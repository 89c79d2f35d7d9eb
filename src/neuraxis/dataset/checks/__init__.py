"""Looking at a dataset before it is trained on: findings about each case and about the whole."""
