"""The four services. None of them imports another."""
