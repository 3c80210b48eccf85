"""Accounts: who may ask for what, and with which provider.

Owns   accounts, projects, data_keys, api_keys, provider_connections, audit_events
Tells  account.created, project.paused, project.resumed, project.deleted
Hears  nothing yet
Asks   nobody
"""
