"""Executor: runs attempts until a request has its one result.

Owns   every move of a request after its accept (libs/ledger, database `requests`)
Tells  requests.finished
Hears  hints (work.first, work.rest); project.paused, project.resumed, project.deleted,
       account.deletion_started, account.deleted
Asks   accounts: where do this project's requests go, with which sealed keys; how does it stand?
"""
