"""Ways out of the executor: each module implements a port and translates every foreign failure."""
