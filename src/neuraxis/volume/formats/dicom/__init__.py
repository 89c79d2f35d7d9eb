"""DICOM: slices in folders, multi-frame files, and segmentations on them."""
