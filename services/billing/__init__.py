"""Billing: what every account has used, what it has bought, and what that lets it do.

Owns   billing_accounts, webhooks, customers, customer_links, addresses, businesses, subscriptions,
       subscription_moves, transactions, adjustments, usage_records, usage_days,
       usage_account_days, usage_notices, usage_sums
Tells  plan.changed, payment.failed, subscription.ended, usage.threshold_reached
Hears  account.created, account.deleted, requests.finished; Paddle's webhooks
Asks   Paddle: what does this cost, and would you?
"""
