"""The query string of an internal question, as the question's Struct says it."""

from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from litestar import Request

from services.gateway.domain.errors import UnsupportedParameter

Asked = TypeVar("Asked", bound=msgspec.Struct)
AnyRequest = Request[Any, Any, Any]


def read_query(request: AnyRequest, kind: type[Asked]) -> Asked:
    """The query string as `kind` says it. Raises UnsupportedParameter, which says what is wrong."""
    try:
        values = parse_qs(
            request.scope["query_string"].decode(), keep_blank_values=True, errors="strict"
        )
        return msgspec.convert(_singled(values, kind), kind, strict=False)
    except msgspec.ValidationError as wrong:
        raise UnsupportedParameter(str(wrong)) from None
    except ValueError:
        raise UnsupportedParameter("The query string is not UTF-8.") from None


def _singled(values: dict[str, list[str]], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Lists only where the question takes several."""
    several = {field.encode_name for field in msgspec.structs.fields(kind) if field.default == ()}
    for name, found in values.items():
        if name not in several and len(found) > 1:
            raise UnsupportedParameter(f"`{name}` may be there only once.")
    return {name: found if name in several else found[0] for name, found in values.items()}
