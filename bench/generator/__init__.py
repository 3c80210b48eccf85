"""The load: one process that sends requests, checks every answer and reports what it saw.

`python -m bench.generator` reads one Job as JSON from standard input, writes a line when the
measured time begins, one when it ends, and then one Report. It knows nothing of ReqRun but the
shape of an answer, so that a peer is measured by the same code.
"""
