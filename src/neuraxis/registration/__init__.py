"""Where scans lie in relation to one another: rigid and affine registration, resampling, templates."""
