"""From the bytes of a submission to checked values, and to the bytes that the provider will get.

Only what we use is typed. Everything else is carried as it came: a member's value is never decoded
and encoded again, so numbers, escapes and white space inside it survive (docs/api.md).
"""

import re
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from services.gateway.domain.errors import (
    InvalidBody,
    InvalidHeader,
    InvalidJson,
    UnsupportedParameter,
)

MODEL_BYTES: Final = 256
KEY_LENGTH: Final = 255
MAX_WAIT: Final = timedelta(seconds=600)

# `8.0` is a whole number too (JSON Schema says so, and some languages write it), `8.5` is none.
_Attempts: TypeAlias = (
    Annotated[int, Meta(ge=1, le=20)] | Annotated[float, Meta(ge=1, le=20, multiple_of=1)]
)
_Deadline: TypeAlias = (
    Annotated[int, Meta(ge=1, le=604_800)] | Annotated[float, Meta(ge=1, le=604_800, multiple_of=1)]
)
_CallTimeout: TypeAlias = (
    Annotated[int, Meta(ge=1, le=3600)] | Annotated[float, Meta(ge=1, le=3600, multiple_of=1)]
)
_Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=600)]
_Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH)]


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


class RetryBody(msgspec.Struct, frozen=True, kw_only=True):
    """How a failed request is to be run again; null is the same as absent."""

    wait: bool | None = None
    wait_timeout: _Seconds | None = None
    max_attempts: _Attempts | None = None
    deadline_seconds: _Deadline | None = None
    call_timeout: _CallTimeout | None = None


class Settings(msgspec.Struct, frozen=True):
    """How long and how often a request is tried."""

    max_attempts: int
    deadline: timedelta
    call_timeout: timedelta


class Wish(msgspec.Struct, frozen=True):
    """What a body says about waiting. `wants_wait` is None where it does not say."""

    wants_wait: bool | None
    wait_timeout: timedelta | None


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that may be stored. `body`: for the provider, without our control fields."""

    model: str
    body: bytes
    wish: Wish
    settings: Settings
    idempotency_key: str | None


class Retry(msgspec.Struct, frozen=True):
    """What a call for a retry asks for."""

    wish: Wish
    settings: Settings


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
    "idempotency_key": (
        f"`idempotency_key` must be a text of 1 to {KEY_LENGTH} characters, without NUL."
    ),
    "max_attempts": "`max_attempts` must be a whole number from 1 to 20.",
    "deadline_seconds": "`deadline_seconds` must be a whole number from 1 to 604800.",
    "call_timeout": "`call_timeout` must be a whole number of seconds from 1 to 3600.",
}
_FIELD: Final = re.compile(r"(?:\$\.|required field `)(\w+)")
_POSITION: Final = re.compile(r"\(byte (\d+)\)")

_read_fields: Final = msgspec.json.Decoder(ChatCompletionBody).decode
_read_retry: Final = msgspec.json.Decoder(RetryBody).decode
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


def canonical(body: bytes) -> bytes:
    """The same bytes for bodies that say the same: members sorted, no white space.

    Raises InvalidBody for a number that no computer number holds: `1e999`.
    """
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    except msgspec.ValidationError:
        raise InvalidBody(
            "The body holds a number that is too large to tell this request from others by."
        ) from None


def read_key(header: bytes) -> str:
    """An `Idempotency-Key` header. Raises InvalidHeader.

    UTF-8 where it is that, so that it is the same key as in a body; else what HTTP takes it for.
    """
    try:
        key = header.decode()
    except UnicodeDecodeError:
        key = header.decode("latin-1")
    if not 1 <= len(key) <= KEY_LENGTH or "\0" in key:
        raise InvalidHeader(f"`Idempotency-Key` must be 1 to {KEY_LENGTH} characters.")
    return key


def parse_retry(body: bytes) -> Retry:
    """Check the body of a retry, which may be empty. Raises InvalidJson, InvalidBody."""
    try:
        fields = _read_retry(body or b"{}")
    except msgspec.ValidationError as error:
        raise _explain(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(_locate(error)) from None
    return Retry(_wish(fields), _settings(fields))


def _chat(fields: ChatCompletionBody, body: bytes) -> Chat:
    return Chat(
        model=fields.model,
        body=body,
        wish=_wish(fields),
        settings=_settings(fields),
        idempotency_key=fields.idempotency_key,
    )


def _wish(fields: ChatCompletionBody | RetryBody) -> Wish:
    wait = fields.wait_timeout
    return Wish(fields.wait, None if wait is None else timedelta(seconds=wait))


def _settings(fields: ChatCompletionBody | RetryBody) -> Settings:
    """Fill in the defaults."""
    deadline, timeout = fields.deadline_seconds, fields.call_timeout
    return Settings(
        max_attempts=int(fields.max_attempts or DEFAULT_ATTEMPTS),
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
