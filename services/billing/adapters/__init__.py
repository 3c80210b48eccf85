"""Ways out: implement a port, translate every foreign failure."""
