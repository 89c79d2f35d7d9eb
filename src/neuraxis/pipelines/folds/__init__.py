"""All folds of a dataset as one run: planned and prepared once, trained one by one, scored over all cases, bundled."""
