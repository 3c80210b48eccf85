"""Ways in: the questions of other services."""
