"""The request ledger: the durable record of every request, and the only code that knows its tables.

The gateway appends (`GatewayLedger`), the executor advances (`ExecutorLedger`, `DispatcherLedger`).
One verb, one module; every statement is batched, fenced and settles its own counters
(docs/request-lifecycle.md). A message on the broker is only a hint that a row here is ready.
"""
