"""Each chain of rooms as one public function."""
