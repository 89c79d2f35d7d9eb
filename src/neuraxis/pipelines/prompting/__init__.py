"""Prompts as a user asks for them: by the name of a source, and as boxes and points."""
