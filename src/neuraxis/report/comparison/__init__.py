"""The pages of comparisons: segmenters side by side, and domains of scans."""
