"""What the gateway does: knows callers, takes requests in, waits, tells."""
