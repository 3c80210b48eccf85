"""The way out to providers: one call, one answer or one failure, and never a second try of its own.

`pool` over `streams` carries HTTP/1.1 (httpcore2, the transport of httpx2) to an address that
`resolver` and `addresses` have checked; `targets` judges the customer's base URL; `answers` reads
with caps. There is no client object on top: what follows no redirect, reads no environment and
keeps no cookies cannot be misconfigured into doing so, and costs half the CPU (decision 0004).
"""

from services.executor.adapters.provider.call import Provider, ProviderOptions

__all__ = ["Provider", "ProviderOptions"]
