"""Ways in: decode, call one use case, encode."""
