"""What the query string of a list may say."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from libs.common.ids import is_id
from libs.ledger.list_requests import ListQuestion
from libs.ledger.states import State
from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.submissions import MODEL_BYTES

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
PARAMETERS: Final = frozenset(
    {"limit", "after", "status", "model", "mode", "created_after", "created_before"}
)

MAX_SECONDS: Final = 99_999_999_999
MOMENT: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"
"""RFC 3339, not finer than we keep times; also told in the OpenAPI document."""

_SECONDS: Final = re.compile(r"\d{1,11}", re.ASCII)
_MOMENT: Final = re.compile(MOMENT, re.ASCII)

Values = Mapping[str, Sequence[str]]


def parse(values: Values, project_id: str, mode: str) -> ListQuestion:
    """A page of one project and mode. Asks for one more than is shown, to know if there is more.

    Raises UnsupportedParameter, which names the parameter.
    """
    unknown = next((name for name in values if name not in PARAMETERS), None)
    if unknown is not None:
        raise UnsupportedParameter(f"A list takes only {', '.join(sorted(PARAMETERS))}.")
    if _single(values, "mode") not in (None, mode):
        raise UnsupportedParameter(f"`mode` must be `{mode}`: this key sees no other requests.")
    return ListQuestion(
        project_id=project_id,
        mode=mode,
        states=_states(values),
        created_after=_moment(values, "created_after"),
        created_before=_moment(values, "created_before"),
        model=_model(values),
        before_id=_cursor(values),
        limit=_limit(values) + 1,
    )


def _single(values: Values, name: str) -> str | None:
    found = values.get(name, ())
    if len(found) > 1:
        raise UnsupportedParameter(f"`{name}` may be there only once.")
    return found[0] if found else None


def _states(values: Values) -> frozenset[State] | None:
    """Several, each in a parameter of its own or separated by commas."""
    names = [name for text in values.get("status", ()) for name in text.split(",")]
    try:
        return frozenset(State(name) for name in names) or None
    except ValueError:
        raise UnsupportedParameter(f"`status` must be of: {', '.join(State)}.") from None


def _moment(values: Values, name: str) -> datetime | None:
    text = _single(values, name)
    if text is None:
        return None
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UnsupportedParameter(
        f"`{name}` must be a time like `2026-05-06T13:52:06Z`, or Unix seconds."
    )


def _model(values: Values) -> str | None:
    model = _single(values, "model")
    if model is not None and (len(model.encode()) > MODEL_BYTES or "\0" in model):
        raise UnsupportedParameter(f"`model` must be at most {MODEL_BYTES} bytes, without NUL.")
    return model


def _cursor(values: Values) -> str | None:
    cursor = _single(values, "after")
    if cursor is not None and not is_id("rr", cursor):
        raise UnsupportedParameter("`after` must be the `last_id` of the page before.")
    return cursor


def _limit(values: Values) -> int:
    text = _single(values, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= MAX_LIMIT:
        raise UnsupportedParameter(f"`limit` must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)
