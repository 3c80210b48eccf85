"""Checks of deploy/k8s and docker-compose.yml: `python -m deploy.checks.manifests`.

What renders is checked, not what is written: `kubectl kustomize` and `docker-compose config`, both
from the lock. Every check says how many things it looked at; one that looked at nothing fails.
"""
