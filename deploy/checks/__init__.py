"""Checks of `make check` that no tool does by itself."""
