"""Accounts: who may ask for what, and with which provider.

Owns   accounts, projects, api_keys, provider_connections, audit_events
Tells  account.created
Hears  nothing yet
Asks   nobody
"""
