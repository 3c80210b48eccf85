"""What the generator calls: us in each way a customer may, and the providers themselves."""

import msgspec

from bench.generator.job import Accepted, Exactly, Target
from bench.provider.completion import COMPLETION, PATH, request_body
from bench.system import System


def ours(system: System, *, is_waiting: bool) -> Target:
    """The gateway, with a plain key."""
    return Target(
        port=system.port,
        path=PATH,
        body=request_body(is_waiting=is_waiting),
        headers={"Authorization": f"Bearer {system.key}"},
        expected=Exactly(COMPLETION) if is_waiting else Accepted(),
    )


def signed(system: System) -> Target:
    """The gateway, waiting, each request signed and with an idempotency key of its own."""
    return msgspec.structs.replace(
        ours(system, is_waiting=True),
        headers={"Authorization": f"Bearer {system.signed.key}"},
        signing_secret=system.signed.signing_secret,
    )


def slow(system: System) -> Target:
    """The gateway, waiting, leading to the slow provider."""
    headers = {"Authorization": f"Bearer {system.slow_key}"}
    return msgspec.structs.replace(ours(system, is_waiting=True), headers=headers)


def provider(port: int) -> Target:
    """A provider itself."""
    return Target(
        port=port, path=PATH, body=request_body(is_waiting=None), expected=Exactly(COMPLETION)
    )
