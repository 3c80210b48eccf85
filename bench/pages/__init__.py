"""How long the dashboard's pages take beside two million requests of one project.

`python -m bench.pages` starts the whole system in a temporary folder, signs somebody up, writes
their requests into the ledger as the product leaves them, and calls every page one by one.
"""
