"""The space that a scan is worked on in: bias, registration, brain extraction, template, and the way home."""
