"""Peers: what others would run in our place, each with its own recommended settings.

A peer is installed on its first use into a cache outside the project, at a pinned version, calls
the same provider as we do and is loaded by the same generator. It is up for the whole run and
idles while others are measured; its idle CPU is counted apart, as a bystander's.
"""
