"""The benchmark: the whole system on one machine, measured from outside. See bench/README.md."""
