"""`reqrun requests`: every request there is, without what was asked or answered.

Content is sealed for its owner, and the operator has no key to it.
"""
