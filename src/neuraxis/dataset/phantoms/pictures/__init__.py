"""Single FLAIR slices of heads with lesions, as pictures."""
