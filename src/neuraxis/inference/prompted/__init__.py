"""Networks that are told where to look: where prompts come from, and how a scan is segmented with them."""
