"""Support messages: what may be written, and what follows what."""

from datetime import timedelta
from enum import StrEnum
from typing import Final
from unicodedata import category

import msgspec

from services.accounts.domain.errors import FieldErrors
from services.accounts.domain.throttles import Bound

LONGEST_SUBJECT: Final = 150  # characters
LONGEST_TEXT: Final = 5_000

_UNFIT: Final = f"A message has 1 to {LONGEST_TEXT} characters of plain text."


class Kind(StrEnum):
    """`privacy`: to object, to restrict, to withdraw consent, or any other right of a person's."""

    QUESTION = "question"
    PRIVACY = "privacy"
    BUG = "bug"


class State(StrEnum):
    """`open`: the operator's turn. `answered`: the customer's, who may also leave it at that."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class Author(StrEnum):
    """Who wrote an entry."""

    CUSTOMER = "customer"
    OPERATOR = "operator"


AFTER: Final[dict[Author, State]] = {Author.CUSTOMER: State.OPEN, Author.OPERATOR: State.ANSWERED}
"""An entry's author decides whose turn it is then; an entry also opens a closed thread again."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message before it is sent."""

    kind: Kind
    subject: str
    text: str


def check_draft(draft: Draft) -> Draft:
    """It without the blanks around its texts. Raises FieldErrors."""
    # It stands in the header of a mail: one line.
    subject, text = " ".join(draft.subject.split()), _plain(draft.text)
    wrong = {}
    if not 1 <= len(subject) <= LONGEST_SUBJECT or not _is_readable(subject):
        wrong["subject"] = f"A subject has 1 to {LONGEST_SUBJECT} characters."
    if not _fits(text):
        wrong["text"] = _UNFIT
    if wrong:
        raise FieldErrors(wrong)
    return Draft(kind=draft.kind, subject=subject, text=text)


def check_text(text: str) -> str:
    """With line ends as everywhere. Raises FieldErrors."""
    text = _plain(text)
    if not _fits(text):
        raise FieldErrors({"text": _UNFIT})
    return text


def bounds_of(account_id: str) -> list[Bound]:
    """How many messages and replies an account may write."""
    return [Bound(f"support.{account_id}", 10, timedelta(days=1))]


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _fits(text: str) -> bool:
    return 1 <= len(text) <= LONGEST_TEXT and _is_readable(text)


def _is_readable(text: str) -> bool:
    """No control characters, nothing that is half a character; what people paste may stay."""
    return all(one in "\n\t" or category(one) not in {"Cc", "Cs"} for one in text)
