"""Mutants: the product with one of its safeties taken out, each of which some test must notice.

`make mutants` is the proof that the tests can see. A mutant that survives is a missing test.
"""
