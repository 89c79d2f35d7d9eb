"""Series of the cervical spinal cord on EPI, with known motion."""
