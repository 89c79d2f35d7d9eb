"""What an evaluation brings beside its table: several raters, pictures for the page, moving pictures."""
