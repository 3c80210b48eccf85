"""From the bytes of a submission to checked values, and to the bytes that the provider will get.

Only what we use is typed. Everything else is carried as it came: a member's value is never decoded
and encoded again, so numbers, escapes and white space inside it survive (docs/api.md).
"""

import re
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from services.gateway.domain.errors import InvalidBody, InvalidJson, UnsupportedParameter

MODEL_BYTES: Final = 256
MAX_WAIT: Final = timedelta(seconds=600)

_Attempts: TypeAlias = Annotated[int, Meta(ge=1, le=20)]
_Deadline: TypeAlias = Annotated[int, Meta(ge=1, le=604_800)]
_CallTimeout: TypeAlias = Annotated[int, Meta(ge=1, le=3600)]
_Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=600)]
_Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class MessageBody(msgspec.Struct, frozen=True):
    """A chat message: any JSON object; the provider judges what is in it."""


class ChatCompletionBody(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a submission that mean something to us; null is the same as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=MODEL_BYTES)]
    messages: Annotated[list[MessageBody], Meta(min_length=1)]
    stream: bool | None = None
    wait: bool | None = None
    wait_timeout: _Seconds | None = None
    idempotency_key: _Key | None = None
    max_attempts: _Attempts | None = None
    deadline_seconds: _Deadline | None = None
    call_timeout: _CallTimeout | None = None


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that may be stored. `body`: for the provider, without our control fields.

    `wants_wait` is None where the body does not say. `idempotency_key` is checked and not yet used.
    """

    model: str
    body: bytes
    wants_wait: bool | None
    wait_timeout: timedelta | None
    idempotency_key: str | None
    max_attempts: int
    deadline: timedelta
    call_timeout: timedelta


CONTROL_FIELDS: Final = frozenset(
    {
        "wait",
        "wait_timeout",
        "idempotency_key",
        "max_attempts",
        "deadline_seconds",
        "call_timeout",
    }
)
"""Ours: cut out before the provider sees the body. Nothing else is."""

DEFAULT_ATTEMPTS: Final = 8
DEFAULT_DEADLINE: Final = timedelta(hours=24)
DEFAULT_CALL_TIMEOUT: Final = timedelta(seconds=600)

_RULES: Final = {
    "model": f"`model` must be a text of 1 to {MODEL_BYTES} bytes, without NUL characters.",
    "messages": "`messages` must be a list of at least one message, each an object.",
    "stream": "`stream` must be false or left out.",
    "wait": "`wait` must be true or false.",
    "wait_timeout": "`wait_timeout` must be a number of seconds from 0 to 600.",
    "idempotency_key": "`idempotency_key` must be a text of 1 to 255 characters, without NUL.",
    "max_attempts": "`max_attempts` must be a whole number from 1 to 20.",
    "deadline_seconds": "`deadline_seconds` must be a whole number from 1 to 604800.",
    "call_timeout": "`call_timeout` must be a whole number of seconds from 1 to 3600.",
}
_FIELD: Final = re.compile(r"(?:\$\.|required field `)(\w+)")
_POSITION: Final = re.compile(r"\(byte (\d+)\)")

_read_fields: Final = msgspec.json.Decoder(ChatCompletionBody).decode
_read_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def parse(body: bytes) -> Chat:
    """Check `body`. Raises InvalidJson, InvalidBody, UnsupportedParameter; none quotes a value."""
    try:
        if not body.isascii():
            body.decode()  # the decoder below takes raw values without looking at their encoding
        fields = _read_fields(body)
        members = _read_members(body)
    except msgspec.ValidationError as error:
        raise _explain(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(_locate(error)) from None
    _check_texts(fields)
    if fields.stream:
        raise UnsupportedParameter("Streaming is not supported yet. Leave `stream` out.")
    return _chat(fields, _without_controls(members))


def _chat(fields: ChatCompletionBody, body: bytes) -> Chat:
    """Fill in the defaults."""
    wait, deadline, timeout = fields.wait_timeout, fields.deadline_seconds, fields.call_timeout
    return Chat(
        model=fields.model,
        body=body,
        wants_wait=fields.wait,
        wait_timeout=None if wait is None else timedelta(seconds=wait),
        idempotency_key=fields.idempotency_key,
        max_attempts=fields.max_attempts or DEFAULT_ATTEMPTS,
        deadline=timedelta(seconds=deadline) if deadline else DEFAULT_DEADLINE,
        call_timeout=timedelta(seconds=timeout) if timeout else DEFAULT_CALL_TIMEOUT,
    )


def _without_controls(members: dict[str, msgspec.Raw]) -> bytes:
    """The object again, each value's bytes as they came.

    It is joined even when nothing was cut: a member that is there twice collapses to its last, so
    that what the provider reads is what we have checked.
    """
    parts: list[bytes | msgspec.Raw] = []
    for name, value in members.items():
        if name not in CONTROL_FIELDS:
            parts += (b",", msgspec.json.encode(name), b":", value)
    parts[0] = b"{"
    parts.append(b"}")
    return b"".join(parts)


def _check_texts(fields: ChatCompletionBody) -> None:
    """What the decoder's bounds cannot say: bytes instead of characters, and no NUL."""
    if len(fields.model.encode()) > MODEL_BYTES or "\0" in fields.model:
        raise InvalidBody(_RULES["model"])
    if fields.idempotency_key is not None and "\0" in fields.idempotency_key:
        raise InvalidBody(_RULES["idempotency_key"])


def _explain(error: msgspec.ValidationError) -> InvalidBody:
    """Our own words for the field at fault; the library's are not written for people."""
    field = _FIELD.search(str(error))
    if field is None:
        return InvalidBody("The body must be a JSON object.")
    return InvalidBody(_RULES[field[1]])


def _locate(error: Exception) -> str:
    position = _POSITION.search(str(error))
    if position is not None:
        return f"The body is not valid JSON: see byte {position[1]}."
    if isinstance(error, UnicodeDecodeError):
        return f"The body is not UTF-8: see byte {error.start}."
    if isinstance(error, RecursionError):
        return "The body is nested too deep."
    return "The body is not valid JSON: it ends too early or holds half a surrogate pair."
