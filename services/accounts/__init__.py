"""Accounts: who may ask for what, with which provider; the dashboard, and the mails.

Owns   accounts, people, sessions, links, throttles, mails, projects, data_keys, api_keys,
       provider_connections, audit_events, notices, support_messages, support_entries, abuse_signals
Tells  account.created, account.deletion_started, account.deleted,
       project.paused, project.resumed, project.deleted
Hears  plan.changed, usage.threshold_reached, payment.failed, subscription.ended
Asks   gateway: how do requests stand? executor: is this provider connection good?
       billing: what is bought, used and owed?
"""
