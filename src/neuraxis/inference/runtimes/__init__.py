"""Engines that run an exported network: one file an engine."""
