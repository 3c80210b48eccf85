"""Billing: what every account has used, and later what it pays.

Owns   billing_accounts, usage_records
Tells  nothing yet
Hears  account.created, requests.finished
Asks   nobody
"""
