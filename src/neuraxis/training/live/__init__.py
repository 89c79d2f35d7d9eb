"""What a person sees of a training while it runs, and how it is asked to stop; none of it changes a weight."""
