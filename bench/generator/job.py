"""What the generator is told and what it reports, as JSON."""

from collections.abc import Mapping

import msgspec

BEGUN = b"begun\n"
ENDED = b"ended\n"
"""The lines it writes when the measured time begins and ends."""


class Callers(msgspec.Struct, frozen=True, tag="callers"):
    """Closed loop: so many callers, each sending its next request when it has its answer.

    Until `count` requests are answered, or for so many `seconds` after so many of `warm_up`.
    """

    callers: int
    count: int | None = None
    seconds: float = 0
    warm_up: float = 0


class Pace(msgspec.Struct, frozen=True, tag="pace"):
    """Open loop: so many requests a second, evenly spaced, whatever the answers do."""

    per_second: float
    seconds: float
    warm_up: float = 0


class Exactly(msgspec.Struct, frozen=True, tag="exactly"):
    """The answer must be this text, byte for byte."""

    body: str


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """The answer must be the async shape of docs/api.md, with an id never seen before."""


class Says(msgspec.Struct, frozen=True, tag="says"):
    """The answer must be a chat completion with exactly this text, whatever else is around it."""

    text: str


Expected = Exactly | Accepted | Says


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is called: always the same POST. `host`: whom it names.

    `signing_secret`: each request is signed with it and has an idempotency key of its own.
    """

    port: int
    host: str = "127.0.0.1"
    path: str
    body: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    signing_secret: str | None = None
    expected: Expected


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    target: Target
    load: Callers | Pace


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in the measured time.

    `answers`: the right ones. `failures`: all others by kind, also outside the measured time.
    `latencies`: from the send (closed loop) or the intended send (open loop); `lags`: how late the
    generator itself was; both as bench.histogram. `cpu_seconds`: the generator's own.
    """

    answers: int
    seconds: float
    cpu_seconds: float
    failures: Mapping[str, int]
    latencies: Mapping[int, int]
    lags: Mapping[int, int] = msgspec.field(default_factory=dict)
