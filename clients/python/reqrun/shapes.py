"""The JSON that goes out and comes back, typed. Results are plain dictionaries, nothing renamed.

More members may come with time; none of these goes away.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

Status = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]

Json = dict[str, Any]


class ChatParams(TypedDict, total=False):
    """What `chat.completions.create` takes: OpenAI's fields, ReqRun's, and two of the client's.

    `wait_timeout`, `deadline_seconds`, `call_timeout` and `timeout` are in seconds. `timeout` is
    how long one try may go without an answer, on top of the wait; it is not sent. `extra_body`
    holds members that are not listed here.
    """

    model: Required[str]
    messages: Required[Sequence[Mapping[str, Any]]]
    frequency_penalty: float | None
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    n: int | None
    parallel_tool_calls: bool
    presence_penalty: float | None
    reasoning_effort: str | None
    response_format: Mapping[str, Any]
    seed: int | None
    stop: str | Sequence[str] | None
    temperature: float | None
    tool_choice: str | Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]]
    top_logprobs: int | None
    top_p: float | None
    user: str
    wait: bool
    wait_timeout: float | None
    idempotency_key: str | None
    max_attempts: int
    deadline_seconds: int
    call_timeout: float
    timeout: float
    extra_body: Mapping[str, Any]


class ListParams(TypedDict, total=False):
    """What `requests.list` takes. `after`: the `last_id` of the page before.

    `status`: one or several, with commas between. Times: ISO 8601 with a zone, or Unix seconds.
    """

    limit: int
    after: str
    status: str
    model: str
    created_after: str | int
    created_before: str | int


class Message(TypedDict, total=False):
    """What the model said."""

    role: Required[str]
    content: Required[str | None]
    refusal: str | None
    tool_calls: list[Json]


class Choice(TypedDict, total=False):
    """One of the model's answers."""

    index: Required[int]
    message: Required[Message]
    finish_reason: Required[str | None]
    logprobs: Json | None


class Usage(TypedDict, total=False):
    """Tokens, as the provider counted them."""

    prompt_tokens: Required[int]
    completion_tokens: Required[int]
    total_tokens: Required[int]


class Completion(TypedDict, total=False):
    """The provider's body, untouched."""

    id: Required[str]
    object: Required[Literal["chat.completion"]]
    created: Required[int]
    model: Required[str]
    choices: Required[list[Choice]]
    usage: Usage


class Accepted(TypedDict):
    """A request that is stored and not completed; `created` in Unix seconds."""

    id: str
    object: Literal["chat.completion.async"]
    status: Literal["queued", "processing", "retrying", "failed", "cancelled"]
    created: int


class Request(TypedDict):
    """Where a request stands. `attempts`: calls to the provider so far."""

    id: str
    status: Status
    attempts: int
    created_at: str
    updated_at: str
    last_error_code: str | None
    result: Completion | None


class Attempt(TypedDict):
    """One call to the provider. `retry_rule`: what chose `retry_at`."""

    number: int
    outcome: str
    started_at: str
    sent_at: str | None
    finished_at: str | None
    status_code: int | None
    error_code: str | None
    retry_at: str | None
    retry_rule: str | None
    provider_request_id: str | None
    provider_headers: dict[str, str] | None
    provider_error: str | None
    usage: Usage | None


class AttemptList(TypedDict):
    """A request's timeline, oldest first."""

    object: Literal["list"]
    data: list[Attempt]
    has_more: bool


class ListedRequest(TypedDict):
    """A request in a list. `erased_at`: when its bodies were destroyed on somebody's wish."""

    id: str
    object: Literal["request"]
    status: Status
    endpoint: str
    model: str
    attempts: int
    created_at: str
    updated_at: str
    last_error_code: str | None
    idempotency_key: str | None
    retried_from: str | None
    erased_at: str | None


class RequestList(TypedDict):
    """One page of requests, newest first."""

    object: Literal["list"]
    data: list[ListedRequest]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ModelList(TypedDict):
    """What the provider offers."""

    object: Literal["list"]
    data: list[Json]


FINAL = frozenset({"completed", "failed", "cancelled"})
"""The states that never change."""
