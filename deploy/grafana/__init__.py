"""What an operator looks at: the list of metrics, dashboards, alert rules.

Dashboards are made from `boards.py`, rules for Kubernetes from `alerts.yaml`, docs/metrics.md from
what the processes really expose. `python -m deploy.grafana` (`make metrics`) writes all of it anew;
tests/unit/grafana holds that this was done.
"""
