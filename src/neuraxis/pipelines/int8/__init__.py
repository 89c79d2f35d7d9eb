"""From a bundle to one that also computes in int8: calibrate, quantise, measure what is lost."""
