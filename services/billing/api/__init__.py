"""Ways in: Paddle's webhooks, the questions of accounts, the operator's command line."""
