"""Calling a provider from a test with as few words as possible."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from libs.common.settings import Secret
from services.executor.adapters.provider import Provider, ProviderOptions
from services.executor.adapters.provider.resolver import Resolver
from services.executor.domain.calls import Answer, CallFailure, FailureKind, ProviderConnection

KEY = "sk-canary-key"
PROMPT = "canary-prompt"
BODY = b'{"model":"m", "messages":[{"role":"user","content":"' + PROMPT.encode() + b'"}]}'

LOOPBACK = ProviderOptions(open_hosts=("127.0.0.1",))


@asynccontextmanager
async def provider_with(
    options: ProviderOptions = LOOPBACK, lookup: Callable[[str], list[str]] | None = None
) -> AsyncIterator[Provider]:
    provider = Provider(options, Resolver(lookup) if lookup else None)
    try:
        yield provider
    finally:
        await provider.close()


async def call(
    provider: Provider, base_url: str, *, body: bytes = BODY, seconds: float = 20, key: str = KEY
) -> Answer | CallFailure:
    connection = ProviderConnection(connection_id="con_1", base_url=base_url, key=Secret(key))
    return await provider.call(
        connection,
        "chat/completions",
        body,
        timeout=timedelta(seconds=seconds),
        trace_id="rr_1-3",
    )


async def answer_of(provider: Provider, base_url: str, *, body: bytes = BODY) -> Answer:
    answer = await call(provider, base_url, body=body)
    assert isinstance(answer, Answer), answer
    return answer


def unsent(kind: FailureKind) -> CallFailure:
    return CallFailure(kind, was_sent=False)


def sent(kind: FailureKind) -> CallFailure:
    return CallFailure(kind, was_sent=True)
