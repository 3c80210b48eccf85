"""The way out to providers: one call, one answer or one failure, and never a second try of its own.

`pool` keeps `connections`, which carry HTTP/1.1 to an address that `resolver` and `addresses` have
checked; `targets` judges the customer's base URL; `answers` reads what comes back, with caps on
`bodies`. There is no client object on top: what follows no redirect, reads no environment and keeps
no cookies cannot be misconfigured into doing so. And it costs next to nothing (decision 0030).
"""

from services.executor.adapters.provider.call import Provider, ProviderOptions

__all__ = ["Provider", "ProviderOptions"]
