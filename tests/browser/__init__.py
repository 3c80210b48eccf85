"""A package: what its conftest starts for all of it ends with its last test."""
