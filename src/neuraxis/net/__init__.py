"""The way to the net: addresses that are allowed, and downloads that go on where they stopped."""
