"""From a scan and a bundle to a prediction."""
