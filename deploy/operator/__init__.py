"""`reqrun`: everything the operator does by hand, in one program.

It looks (doctor, requests, parked, retention, reconcile, load), and hands on what a service's own
commands do: those are one table with ours, and there is no second way to do anything.
"""
