"""The environment of the app: the addresses it is told."""

BROKER_URL = "BENCH_BROKER_URL"
BACKEND_URL = "BENCH_BACKEND_URL"
PROVIDER_URL = "BENCH_PROVIDER_URL"
