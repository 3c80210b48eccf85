"""A stand-in for Paddle Billing: `python -m deploy.local.paddle`. No money moves here.

Speaks the documented HTTP API as far as billing uses it, shows a checkout and a customer portal,
and sends signed webhooks. Tests hold its shapes to Paddle's own SDK.
"""
