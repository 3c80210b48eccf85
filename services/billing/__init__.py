"""Billing: what every account has used, and later what it pays.

Owns   billing_accounts, usage_records, usage_days, usage_account_days, usage_notices, usage_sums
Tells  nothing yet
Hears  account.created, account.deleted, requests.finished
Asks   nobody
"""
