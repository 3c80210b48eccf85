"""Ways out: each implements a port and translates every foreign failure."""
