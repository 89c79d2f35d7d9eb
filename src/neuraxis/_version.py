"""The version of neuraxis."""

__version__ = "0.1.0"
