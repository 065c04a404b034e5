"""Mail: addresses, templates and their rendering, and who must not be written to."""
