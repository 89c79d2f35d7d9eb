"""Every decision of a run, and the planner that takes the open ones from the data."""
