"""Ways in: questions of other services, and the operator's command line."""
