"""What somebody typed into a form: read strictly, kept, shown again beside what is wrong."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Response

from libs.common.errors import AppError, Forbidden, InvalidInput, NotFound, Unauthenticated
from libs.common.web.errors import status_of
from services.accounts.domain.errors import FieldErrors
from services.accounts.pages.visits import Visit

FORM_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 100
_URLENCODED: Final = "application/x-www-form-urlencoded"
_SECRETS: Final = frozenset({"password", "old_password", "provider_key"})
"""Never written back into a page."""

Rules = Mapping[type[AppError], str]
"""Which field an error is about."""


class StaleForm(Forbidden):
    """It does not come from a page of this session: an old tab, or another site."""

    code = "stale_form"


class UnreadableForm(InvalidInput):
    """Not a form that one of our pages could have sent."""

    code = "unreadable_form"


class Form(msgspec.Struct, frozen=True):
    """`values`: as typed. `errors`: by field, what to change. `error`: about all of it."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = msgspec.field(default_factory=dict)
    error: str | None = None

    def __getitem__(self, field: str) -> str:
        """What was typed; nothing where the field was not sent."""
        return self.values.get(field, "")

    def has(self, field: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.values.get(field))

    def failed(self, error: AppError, rules: Rules | None = None) -> "Form":
        """The same, with what was wrong."""
        if isinstance(error, FieldErrors):
            return Form(self.values, dict(error.fields))
        for kind, field in (rules or {}).items():
            if isinstance(error, kind):
                return Form(self.values, {field: str(error)})
        return Form(self.values, {}, str(error))

    def shown(self) -> "Form":
        """What a page may hold: everything but secrets."""
        kept = {name: value for name, value in self.values.items() if name not in _SECRETS}
        return Form(kept, self.errors, self.error)


EMPTY: Final = Form({})


async def read(visit: Visit) -> Form:
    """The form that was sent. Raises UnreadableForm. Check it with `check_token` before use."""
    request = visit.request
    if request.headers.get("content-type", "").partition(";")[0].strip() != _URLENCODED:
        raise UnreadableForm("This address takes a form as a browser sends it.")
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise UnreadableForm("Some of it is not readable text. Type it in anew.") from None
    return Form({name: value.replace("\r\n", "\n") for name, value in pairs})


def check_token(visit: Visit, form: Form) -> None:
    """Raises StaleForm unless a page of this very session sent the form."""
    sent = form["form_token"].encode("utf-8", "replace")
    if not hmac.compare_digest(sent, visit.form_token().encode()):
        raise StaleForm(
            "This page was open before you logged in or out. Look it over and send it again."
        )


Act = Callable[[Form], Awaitable[Response[bytes]]]
"""Does what the form asks for. Raises AppError."""
Show = Callable[[Form, int], Awaitable[Response[bytes]]]
"""The page that the form is on, with the form as it is given, under a status."""


async def submit(visit: Visit, act: Act, show: Show, rules: Rules | None = None) -> Response[bytes]:
    """Take the form; where something is wrong with it, the page again, with what was typed.

    What no page can be shown for (it is not there, or not theirs) is raised on.
    """
    form = await read(visit)
    try:
        check_token(visit, form)
        return await act(form)
    except (NotFound, Unauthenticated):
        raise
    except AppError as error:
        return await show(form.failed(error, rules).shown(), status_of(error))
