"""What accounts does: one function a verb."""
