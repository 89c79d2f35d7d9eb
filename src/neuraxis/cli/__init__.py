"""The command line: one file a verb, which parses, calls one public function and prints."""
