"""What a request costs beside ten thousand rows and beside ten million, in shared buffers.

`python -m bench.scale` fills the ledger of a private PostgreSQL and runs the hot statements as the
services run them. Buffers, unlike times, do not depend on the machine or on who else uses it.
"""
