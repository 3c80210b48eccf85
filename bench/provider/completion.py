"""The one request and the one answer of the benchmark, of a usual size."""

from typing import Final

import msgspec

PATH: Final = "/v1/chat/completions"
ANSWER: Final = "The quick brown fox jumps over the lazy dog near the old river bank. " * 6
"""What the provider says, and is asked."""

REQUEST: Final = {
    "model": "bench-model",
    "messages": [
        {"role": "system", "content": "Answer in one paragraph."},
        {"role": "user", "content": ANSWER},
    ],
    "temperature": 0.2,
}

COMPLETION: Final = msgspec.json.encode(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "bench-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 96, "completion_tokens": 84, "total_tokens": 180},
    }
).decode()
"""A chat.completion with the usage that billing counts."""


def request_body(*, is_waiting: bool | None) -> str:
    """The request; None leaves our own field out, as a provider gets it."""
    own = {} if is_waiting is None else {"wait": is_waiting}
    return msgspec.json.encode({**REQUEST, **own}).decode()
