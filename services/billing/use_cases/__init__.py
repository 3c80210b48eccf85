"""What billing does: one function a verb."""
