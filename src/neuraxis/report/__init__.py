"""Self-contained HTML pages and figures."""
