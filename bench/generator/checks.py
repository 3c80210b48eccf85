"""Whether an answer is the right one."""

from collections.abc import Callable

import msgspec

from bench.generator.job import Accepted, Exactly, Expected, Says

Check = Callable[[bytes], str | None]
"""Why a body is wrong, or None."""


class AsyncShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly what docs/api.md promises for an accepted request."""

    id: str
    object: str
    status: str
    created: int


class _Message(msgspec.Struct, frozen=True):
    content: str


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class ChatShape(msgspec.Struct, frozen=True):
    """What every OpenAI-compatible answer has."""

    choices: tuple[_Choice, ...]


def check_for(expected: Expected) -> Check:
    """The check of one load's answers; it may remember them."""
    match expected:
        case Exactly(body):
            wanted = body.encode()
            return lambda body: None if body == wanted else "another body"
        case Accepted():
            return _Accepted()
        case Says(text):
            return _Says(text)


class _Accepted:
    """Of the right shape, with an id never seen before."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._decoder = msgspec.json.Decoder(AsyncShape)

    def __call__(self, body: bytes) -> str | None:
        try:
            answer = self._decoder.decode(body)
        except msgspec.DecodeError:
            return "another shape"
        if answer.object != "chat.completion.async":
            return "another shape"
        if answer.id in self._ids:
            return "an id twice"
        self._ids.add(answer.id)
        return None


class _Says:
    """With exactly one choice, which says what was expected."""

    def __init__(self, text: str) -> None:
        self._wanted = [text]
        self._decoder = msgspec.json.Decoder(ChatShape)

    def __call__(self, body: bytes) -> str | None:
        try:
            answer = self._decoder.decode(body)
        except msgspec.DecodeError:
            return "another shape"
        said = [choice.message.content for choice in answer.choices]
        return None if said == self._wanted else "another text"
