"""DICOM SEG: segmentations read onto the grid of their images, and written on the source frames."""
