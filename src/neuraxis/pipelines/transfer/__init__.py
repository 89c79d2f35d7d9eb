"""Is it worth to begin with a model: trainings with it and without, on more and more cases."""
