"""The provider of the benchmark: costs next to nothing and always answers the same."""
