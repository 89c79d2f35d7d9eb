"""One training on several devices: processes that share each step's batch and take the same step."""
