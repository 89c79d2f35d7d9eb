"""A bundle in forms that other programs open: a folder, ONNX files, a bundle of MONAI."""
