"""Networks that are told where to look by a prompt: SAM, MedSAM and SAM 2, in the form that transformers gives them."""
