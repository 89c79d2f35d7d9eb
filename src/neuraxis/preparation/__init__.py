"""From a case to what the network sees, and the way back."""
