"""Mails to people: one template in HTML and one in plain text for each kind.

The plain one has the subject in a block of its own. Whatever a value holds, it stays text: escaped
in HTML, without control characters in the plain part, without line ends in the subject.
"""

import re
import unicodedata
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.accounts.domain.letters import Letter, LetterKind

_TEMPLATES: Final = Path(__file__).parent / "templates"
_LONGEST_SUBJECT: Final = 150


def write(kind: LetterKind, **values: str) -> Letter:
    """The letter. Raises jinja2.UndefinedError where a value is missing that it names."""
    plain = _TEXT.get_template(f"{kind}.txt")
    subject = "".join(plain.blocks["subject"](plain.new_context(values)))
    text = "".join(plain.blocks["body"](plain.new_context(values)))
    return Letter(
        subject=" ".join(subject.split())[:_LONGEST_SUBJECT],
        text=f"{_BLANK_LINES.sub(_ONE, text.strip())}\n\n{_CLOSING}\n",
        html=_HTML.get_template(f"{kind}.html").render(values),
    )


def _clean(value: Any) -> Any:
    """Line ends and tabs may stay: what somebody wrote to support has some."""
    if not isinstance(value, str):
        return value
    text = "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"})
    return type(value)(text)  # Markup stays Markup, and plain text is escaped afterwards


def _environment(*, is_html: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=is_html,  # noqa: S701  # the other half is no HTML
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_HTML: Final = _environment(is_html=True)
_TEXT: Final = _environment(is_html=False)
_BLANK_LINES: Final = re.compile("\n{3,}")
_ONE: Final = "\n\n"
_CLOSING: Final = "-- \nReqRun runs LLM requests that must not be lost."
