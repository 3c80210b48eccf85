"""Rules of billing: pure, no I/O, no clock."""
