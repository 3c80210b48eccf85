"""Billing: what every account has used, and later what it pays.

Owns   billing_accounts, usage_records, usage_sums
Tells  nothing yet
Hears  account.created, account.deleted, requests.finished
Asks   nobody
"""
