"""The executor's rules: pure functions and frozen values; no I/O, no clock, no randomness."""
