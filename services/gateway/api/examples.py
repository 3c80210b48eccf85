"""Examples of the OpenAPI document; a test holds them to the Structs."""

from typing import Any, Final

ID: Final = "rr_01kav5m9x3f8q2r7t6w4y1z0bc"
COMPLETION: Final[dict[str, Any]] = {
    "id": "chatcmpl_1",
    "object": "chat.completion",
    "created": 1_763_800_000,
    "model": "gpt-5-nano",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
ACCEPTED: Final[dict[str, Any]] = {
    "id": ID,
    "object": "chat.completion.async",
    "status": "queued",
    "created": 1_763_800_000,
}
REQUEST: Final[dict[str, Any]] = {
    "id": ID,
    "status": "completed",
    "attempts": 2,
    "created_at": "2025-11-22T08:26:40Z",
    "updated_at": "2025-11-22T08:26:43Z",
    "last_error_code": None,
    "result": COMPLETION,
}
ATTEMPTS: Final[dict[str, Any]] = {
    "object": "list",
    "data": [
        {
            "number": 1,
            "outcome": "transient",
            "started_at": "2025-11-22T08:26:40.120Z",
            "sent_at": "2025-11-22T08:26:40.120Z",
            "finished_at": "2025-11-22T08:26:40.480Z",
            "status_code": 429,
            "error_code": "provider_rate_limited",
            "retry_at": "2025-11-22T08:26:42.480Z",
            "retry_rule": "retry-after",
            "provider_request_id": None,
            "provider_headers": {"retry-after": "2"},
            "provider_error": '{"error":{"message":"Rate limit reached"}}',
            "usage": None,
        }
    ],
    "has_more": False,
}
SUBMIT: Final[dict[str, Any]] = {
    "model": "gpt-5-nano",
    "messages": [{"role": "user", "content": "Hello"}],
    "wait": True,
}
RETRY: Final[dict[str, Any]] = {"wait": True, "deadline_seconds": 3600}
REQUESTS: Final[dict[str, Any]] = {
    "object": "list",
    "data": [
        {
            "id": ID,
            "object": "request",
            "status": "completed",
            "endpoint": "chat/completions",
            "model": "gpt-5-nano",
            "attempts": 2,
            "created_at": "2025-11-22T08:26:40Z",
            "updated_at": "2025-11-22T08:26:43Z",
            "last_error_code": None,
            "idempotency_key": "order-4711",
            "retried_from": None,
            "erased_at": None,
        }
    ],
    "first_id": ID,
    "last_id": ID,
    "has_more": False,
}
MODELS: Final[dict[str, Any]] = {
    "object": "list",
    "data": [{"id": "gpt-5-nano", "object": "model", "created": 1_763_800_000, "owned_by": "o"}],
}
