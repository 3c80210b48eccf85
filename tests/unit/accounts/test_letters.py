"""Letters: whatever a value holds, it stays text."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from jinja2 import UndefinedError

from services.accounts.domain.letters import KEEP_TRYING, LetterKind, next_try
from services.accounts.pages import letters

NAMES = [
    "account_id",
    "amount",
    "at",
    "backups_gone_on",
    "base_url",
    "browser",
    "changes",
    "due_on",
    "effective_on",
    "email",
    "ended_plan",
    "erased_on",
    "grace_ends_on",
    "key_name",
    "limit",
    "link",
    "mode",
    "name",
    "network",
    "number",
    "old",
    "period_ends_on",
    "plan",
    "project",
    "sender",
    "share",
    "shown",
    "subject",
    "text",
    "used",
]
HOSTILE = "<script>alert(1)</script>\r\nBcc: all@example.org\0\x1b[31m\ud800{{ 7 * 7 }}'\">"
NOW = datetime(2026, 3, 14, tzinfo=UTC)


@pytest.mark.parametrize("kind", LetterKind)
def test_no_value_can_become_markup_a_header_or_a_template(kind: LetterKind) -> None:
    letter = letters.write(kind, **dict.fromkeys(NAMES, HOSTILE))

    assert "<script" not in letter.html
    assert "{{ 7" not in letter.html.replace("{{ 7 * 7 }}", "")
    assert "49" not in letter.text
    assert letter.subject.isprintable()
    assert len(letter.subject) <= 150
    for text in (letter.subject, letter.text, letter.html):
        assert not re.search(r"[\0\x1b\ud800]", text)


@pytest.mark.parametrize("kind", LetterKind)
def test_both_parts_say_the_same_and_load_nothing(kind: LetterKind) -> None:
    values = {name: f"value-of-{name}" for name in NAMES}
    values |= {"base_url": "https://app.example", "link": "https://app.example/go?token=abc"}

    letter = letters.write(kind, **values)

    assert letter.subject
    assert letter.text.strip()
    in_text = set(re.findall(r"value-of-\w+|https://\S+", f"{letter.subject}\n{letter.text}"))
    in_html = set(re.findall(r"value-of-\w+|https://[^\s\"<]+", letter.html))
    assert in_text == in_html
    assert not re.search(r"<(img|script|link|iframe|object)|url\(|@import", letter.html)
    assert "{{" not in letter.text + letter.html + letter.subject


@pytest.mark.parametrize("kind", LetterKind)
def test_a_value_that_is_missing_is_noticed(kind: LetterKind) -> None:
    with pytest.raises(UndefinedError):
        letters.write(kind)


def test_pauses_double_to_an_hour_and_end_after_three_days() -> None:
    pauses: list[timedelta] = []
    at = NOW
    while (following := next_try(len(pauses) + 1, NOW, at)) is not None:
        pauses.append(following - at)
        at = following

    minutes = [pause // timedelta(minutes=1) for pause in pauses]
    assert minutes[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(minutes[8:]) == {60}
    assert KEEP_TRYING <= at - NOW < KEEP_TRYING + timedelta(hours=1)
