"""E-mail addresses: what we take for one, and when two are the same person's."""

import re
from typing import Final

import msgspec

from services.accounts.domain.errors import InvalidEmail

LONGEST: Final = 254
"""Characters; RFC 5321, 4.5.3.1.3, less the brackets around it."""

_LONGEST_LOCAL: Final = 64
# What browsers take in an input of type email (HTML, 4.10.5.1.5), with a dot in the domain and none
# at an end of the local part (RFC 5322, dot-atom). It has no blanks, no control characters and no
# line ends, so that none gets into a mail's header.
_SHAPE: Final = re.compile(
    r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
)


class Email(msgspec.Struct, frozen=True):
    """An address. `text`: as its owner writes it. `key`: the same for all ways of writing it.

    Providers may tell `A@x.org` from `a@x.org`; none that we know of does, and people do not.
    """

    text: str

    @property
    def key(self) -> str:
        """In lower case."""
        return self.text.lower()


def check_email(text: str) -> Email:
    """The address without the blanks around it. Raises InvalidEmail."""
    text = text.strip()
    local = text.partition("@")[0]
    if len(text) > LONGEST or len(local) > _LONGEST_LOCAL or not _SHAPE.fullmatch(text):
        raise InvalidEmail("Write an e-mail address like name@example.com.")
    return Email(text)
