"""What is read from a provider's body: little, and nothing is ever written back into it."""

from typing import Any, Final

import msgspec

MAX_TOKENS: Final = 2**31 - 1
"""The ledger's columns are 32 bits wide; a count beyond them is not believed."""


class Tokens(msgspec.Struct, frozen=True):
    """Usage as the provider reported it; None where it told nothing believable."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None


class _Result(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


class _List(msgspec.Struct):
    data: list[msgspec.Raw]


class _RawList(msgspec.Struct):
    data: msgspec.Raw


class _Mistake(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()


_RESULT: Final = msgspec.json.Decoder(_Result)
_LIST: Final = msgspec.json.Decoder(_List)
_RAW_LIST: Final = msgspec.json.Decoder(_RawList)
_MISTAKE: Final = msgspec.json.Decoder(_Mistake)
_FIELDS: Final = msgspec.json.Decoder(dict[str, Any])


def read_result(body: bytes) -> Tokens | None:
    """The tokens of a result; None if `body` is none: not a JSON object, or one that is an error.

    Some gateways answer 200 with `{"error": {…}}` when the model behind them fails.
    """
    try:
        # msgspec checks the syntax of what it skips, but not its UTF-8.
        result = _RESULT.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    if _fields(result.error):
        return None
    usage = _fields(result.usage)
    return Tokens(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(usage.get("total_tokens")),
    )


def read_models(body: bytes) -> bytes | None:
    """The `data` of a list as it came; None if `body` is no JSON object with a list in it."""
    try:
        _LIST.decode(body.decode())
        return bytes(_RAW_LIST.decode(body).data)
    except (ValueError, RecursionError):
        return None


def count_models(body: bytes) -> int | None:
    """How many a list has; None if `body` is no JSON object with a list in it."""
    try:
        return len(_LIST.decode(body.decode()).data)
    except (ValueError, RecursionError):
        return None


def error_names(body: bytes) -> frozenset[str]:
    """The `code` and `type` of an OpenAI-like error body; empty if it is none."""
    try:
        fields = _fields(_MISTAKE.decode(body).error)
    except (ValueError, RecursionError):
        return frozenset()
    names = (fields.get("code"), fields.get("type"))
    return frozenset(name for name in names if isinstance(name, str))


def _fields(raw: msgspec.Raw) -> dict[str, Any]:
    """The members of `raw`; none if it is absent, null or not an object."""
    try:
        return _FIELDS.decode(raw)
    except (ValueError, RecursionError):
        return {}


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= MAX_TOKENS else None
