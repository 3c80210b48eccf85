"""A mail relay that keeps every mail, and pages to read them: `python -m deploy.local.mail`.

For one machine: what is sent here goes nowhere else.
"""
