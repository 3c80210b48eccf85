"""Gateway: takes requests in, stores them before it answers, and tells where they stand.

Owns   nothing: it appends to the request ledger (libs.ledger), which the executor advances
Tells  nothing: its messages on `reqrun.work` are hints that a row is ready
Hears  wake-ups on the Redis channel `reqrun.finished`; they may be lost
Asks   accounts: whose an API key is; executor: which models a provider has

Asked by accounts, for the dashboard: about requests, their content, and a project's numbers.
"""
