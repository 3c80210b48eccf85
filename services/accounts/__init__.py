"""Accounts: who may ask for what, and with which provider.

Owns   accounts, people, sessions, links, throttles, mails, projects, data_keys, api_keys,
       provider_connections, audit_events, support_messages, support_entries, abuse_signals
Tells  account.created, account.deletion_started, account.deleted,
       project.paused, project.resumed, project.deleted
Hears  nothing yet
Asks   nobody
"""
