"""What may be written to support, and what counts as a sign of abuse."""

from datetime import UTC, datetime

import pytest

from services.accounts.domain.abuse import Signal, hour_of, throttled
from services.accounts.domain.errors import FieldErrors
from services.accounts.domain.support import (
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    Draft,
    Kind,
    check_draft,
    check_text,
)


def draft(subject: str = "Help", text: str = "Why?") -> Draft:
    return Draft(kind=Kind.QUESTION, subject=subject, text=text)


def test_a_subject_is_one_line_and_a_text_has_plain_line_ends() -> None:
    checked = check_draft(draft(" Why\r\nBcc: all@example.org ", "  one\r\ntwo\rthree\n"))

    assert checked.subject == "Why Bcc: all@example.org"
    assert checked.text == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (draft(subject=" "), {"subject"}),
        (draft(subject="a" * (LONGEST_SUBJECT + 1)), {"subject"}),
        (draft(subject="a\x00b"), {"subject"}),
        (draft(text="\n"), {"text"}),
        (draft(text="a" * (LONGEST_TEXT + 1)), {"text"}),
        (draft(text="a\x1bb"), {"text"}),
        (draft(text="a\ud800"), {"text"}),
        (draft("", ""), {"subject", "text"}),
    ],
    ids=["blank", "long", "nul", "empty", "longer", "escape", "half", "both"],
)
def test_what_is_wrong_with_a_draft_is_said_at_once(wrong: Draft, fields: set[str]) -> None:
    with pytest.raises(FieldErrors) as refused:
        check_draft(wrong)

    assert set(refused.value.fields) == fields


def test_people_may_write_as_they_do() -> None:
    joined = "\U0001f469\u200d\U0001f4bb"
    text = f"Zoë\u00a0says: {joined}\n\tça va"

    assert check_text(text) == text
    assert check_draft(draft(f"{joined} does not work")).subject == f"{joined} does not work"


def test_a_try_over_a_bound_counts_by_what_was_tried() -> None:
    assert throttled("password.0123") is Signal.PASSWORD_THROTTLED
    assert throttled("mail.0123") is Signal.MAIL_THROTTLED
    assert throttled("something.0123") is Signal.OTHER_THROTTLED


def test_an_hour_is_named_by_its_beginning() -> None:
    moment = datetime(2026, 11, 23, 12, 59, 59, 999_999, tzinfo=UTC)

    assert hour_of(moment) == datetime(2026, 11, 23, 12, tzinfo=UTC)
