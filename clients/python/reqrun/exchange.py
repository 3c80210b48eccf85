"""What is sent and what comes back, as plain data: no client library in sight."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call; it is signed each time it is sent.

    `seconds`: how long the server may stay silent. The body is left out of the `repr`.
    """

    method: str
    path: str
    seconds: float
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  what 2xx means


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer: the call may have had its effect, or not."""

    error: Exception


Outcome: TypeAlias = Answer | Lost


@dataclass(frozen=True, slots=True)
class Send:
    """Make this call, after a pause of so many seconds."""

    call: Call
    pause: float = 0.0


Flow: TypeAlias = Generator[Send, Outcome, T]
"""A conversation: what to send next, given what came back. Whoever runs it does the I/O."""
