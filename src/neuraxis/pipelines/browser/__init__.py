"""A model in a form that a web page runs: its network rewritten for ONNX Runtime Web, and what a page must know."""
