"""Rules of accounts: pure, no I/O, no clock."""
