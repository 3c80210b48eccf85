"""Migrations must leave the version before at work, and keep nobody waiting for a lock.

`python -m deploy.checks.migrations` renders every revision that is newer than BASELINE as SQL and
holds it to squawk's rules and ours. Decision 0028 (docs/decisions) says why there are such rules.
"""
