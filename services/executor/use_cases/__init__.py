"""What the executor does: take hints, run attempts, keep leases, dispatch what is due."""
