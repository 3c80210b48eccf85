"""Ways in: the operator's command line."""
