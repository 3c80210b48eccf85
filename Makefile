PYTHON := .venv/bin/python
BOOTSTRAP := @sh deploy/local/bootstrap.sh
LOCK := .venv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url

MINUTES := 30

.DEFAULT_GOAL := help
.PHONY: help up down reset status logs test chaos mutants check fmt bench scale soak manifests lock metrics

help: ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

up: ## Start everything on this machine, send a request through it, show how to go on
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.local up

down: ## Stop what `make up` started; the data stays
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.local down

reset: ## Stop it and forget all data, keys and logs
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.local reset

status: ## Show every server and process
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.local status

logs: ## Follow all logs
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.local logs

# What is judged by the clock comes first, one at a time: the faults above all. The rest in pairs,
# less what `check` has just run.

test: check ## Check, then run every test but the slow ones, on servers of their own
	$(BOOTSTRAP) tests
	@$(PYTHON) -m pytest -m "alone and not slow"
	@$(PYTHON) -m pytest -m "not alone and not slow" --numprocesses 2 --dist loadfile \
		--ignore tests/architecture

chaos: ## Inflict every known fault and write docs/reliability-report.md; MINUTES=30: a random storm
	$(BOOTSTRAP)
	@$(PYTHON) -m tests.faults $(if $(filter command line,$(origin MINUTES)),--minutes $(MINUTES))

mutants: ## Take out one safety of the product after the other: a test must notice each
	$(BOOTSTRAP)
	@$(PYTHON) -m tests.mutants

check: ## Everything that needs no server: style, types, imports, architecture, secrets, advisories
	$(BOOTSTRAP)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@PYTHONPATH=clients/python .venv/bin/lint-imports
	@$(PYTHON) -m pytest -q --numprocesses 2 tests/architecture
	@$(PYTHON) -m deploy.checks.manifests
	@$(PYTHON) -m deploy.checks.migrations
	@$(PYTHON) -m deploy.checks.leaks
	@$(PYTHON) -m deploy.checks.advisories $(if $(filter required,$(AUDIT)),--required) \
		requirements.lock requirements-dev.lock

fmt: ## Format, and mend what can be mended
	$(BOOTSTRAP)
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

bench: ## Measure throughput, latency and CPU per request, beside what others would run instead
	$(BOOTSTRAP)
	@$(PYTHON) -m bench

scale: ## Measure what a request costs beside ten million others
	$(BOOTSTRAP)
	@$(PYTHON) -m bench.scale

soak: ## Load it for MINUTES (30) and look for what grows
	$(BOOTSTRAP)
	@$(PYTHON) -m bench.soak --minutes $(MINUTES)

metrics: ## Write docs/metrics.md, the dashboards and the alert rules for Kubernetes anew
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.grafana

manifests: ## Render compose file and overlays; hold them to API schemas, our rules and the settings
	$(BOOTSTRAP)
	@$(PYTHON) -m deploy.checks.manifests

lock: ## Compile both locks anew from pyproject.toml
	$(BOOTSTRAP)
	@$(LOCK) -o requirements.lock
	@$(LOCK) --extra dev -o requirements-dev.lock
