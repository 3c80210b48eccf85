"""Tests. A package, so that no other of this name in the environment is found instead."""
