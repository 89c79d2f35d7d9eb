"""Maps of what a network looked at, slice by slice: in the page of `explain` and in evaluation reports."""
