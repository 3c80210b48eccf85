"""Answers in OpenAI's shapes (its API reference: chat completions, models, error codes)."""

import time
from typing import Any, Final

import msgspec

from services.executor.simulator.scripts import MODELS

RETRY_AFTER_MS: Final = 200
"""What a simulated 429 asks for: short, so that a test which obeys it is quick."""

_SENTENCE: Final = "This is the simulator: no model was asked and nothing was charged."
_CHARS_PER_TOKEN: Final = 4
_WINDOW: Final = 10_000

_ENCODE: Final = msgspec.json.Encoder().encode
_JSON: Final = (b"content-type", b"application/json")

# status: (type, code, message) as OpenAI words them; other statuses fall back to their class.
_ERRORS: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", "invalid_value", "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Not supported here."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}
_CLIENT_ERROR: Final = ("invalid_request_error", None, "The request was refused.")
_SERVER_ERROR: Final = ("server_error", None, "The server had an error processing your request.")
_FIRST_SERVER_ERROR: Final = 500


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer; `headers` lack content-length, which the app adds."""

    status_code: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)


def completion(model: str, number: int, request_bytes: int) -> Reply:
    """A `chat.completion`. Token counts follow the sizes; the prompt itself is not looked at."""
    prompt_tokens = max(1, request_bytes // _CHARS_PER_TOKEN)
    completion_tokens = len(_SENTENCE) // _CHARS_PER_TOKEN
    body = {
        "id": f"chatcmpl-sim{number:010d}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _SENTENCE, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }
    return Reply(200, _ENCODE(body), (_JSON, *_allowance(_WINDOW - 1, "6ms")))


def failure(status_code: int) -> Reply:
    """The error that OpenAI answers with this status; a 429 says when to come back."""
    fallback = _SERVER_ERROR if status_code >= _FIRST_SERVER_ERROR else _CLIENT_ERROR
    kind, code, message = _ERRORS.get(status_code, fallback)
    if status_code != 429:  # noqa: PLR2004 - the status is its own best name
        return error(status_code, kind, code, message)
    reply = error(status_code, kind, code, message)
    asks = (
        (b"retry-after", b"1"),
        (b"retry-after-ms", str(RETRY_AFTER_MS).encode()),
        *_allowance(0, f"{RETRY_AFTER_MS}ms"),
    )
    return msgspec.structs.replace(reply, headers=(*reply.headers, *asks))


def quota() -> Reply:
    """The 429 that waiting does not mend."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return error(429, "insufficient_quota", "insufficient_quota", message)


def garbage() -> Reply:
    """A 200 without JSON, as a broken proxy in front of a provider may send."""
    return Reply(200, b"<html><body>Welcome</body></html>", ((b"content-type", b"text/html"),))


def models() -> Reply:
    """The list of models: one example of each script."""
    data = [{"id": m, "object": "model", "created": 0, "owned_by": "simulator"} for m in MODELS]
    return Reply(200, _ENCODE({"object": "list", "data": data}))


def plain(status_code: int, body: Any) -> Reply:
    """`body` as JSON: for the control endpoints."""
    return Reply(status_code, _ENCODE(body))


def error(status_code: int, kind: str, code: str | None, message: str) -> Reply:
    """OpenAI's error envelope, `param` included."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(status_code, _ENCODE(body))


def _allowance(remaining: int, reset: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-ratelimit-limit-requests", str(_WINDOW).encode()),
        (b"x-ratelimit-remaining-requests", str(remaining).encode()),
        (b"x-ratelimit-reset-requests", reset.encode()),
        (b"x-ratelimit-limit-tokens", b"2000000"),
        (b"x-ratelimit-remaining-tokens", b"1999900"),
        (b"x-ratelimit-reset-tokens", b"3ms"),
    )
