"""Rules of the public API: pure, no I/O, no clock."""
