"""The message broker: what may be known of it (protocol), what it holds (topology), how it runs."""
