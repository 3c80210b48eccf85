"""Support messages: what may be written, and what follows what."""

from enum import StrEnum
from typing import Final
from unicodedata import category

import msgspec

from services.accounts.domain.errors import InvalidSupportMessage

LONGEST_SUBJECT: Final = 150  # characters
LONGEST_TEXT: Final = 5_000


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
    """It without the blanks around its texts. Raises InvalidSupportMessage."""
    subject = " ".join(draft.subject.split())
    # It stands in the header of a mail: one line, no control characters.
    if not 1 <= len(subject) <= LONGEST_SUBJECT or not _is_readable(subject):
        raise InvalidSupportMessage(f"A subject has 1 to {LONGEST_SUBJECT} characters.")
    return msgspec.structs.replace(draft, subject=subject, text=check_text(draft.text))


def check_text(text: str) -> str:
    """With line ends as everywhere. Raises InvalidSupportMessage."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not 1 <= len(text) <= LONGEST_TEXT or not _is_readable(text):
        raise InvalidSupportMessage(f"A message has 1 to {LONGEST_TEXT} characters of plain text.")
    return text


def _is_readable(text: str) -> bool:
    """No control characters, nothing that is half a character; what people paste may stay."""
    return all(one in "\n\t" or category(one) not in {"Cc", "Cs"} for one in text)
