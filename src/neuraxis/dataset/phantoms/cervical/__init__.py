"""CT of necks with numbered vertebrae."""
