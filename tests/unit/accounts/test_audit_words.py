"""Words for what is in the audit list."""

import pytest

from services.accounts.domain.audit import Change, Group
from services.accounts.pages.audit_words import GROUPS, WORDS, words_of


@pytest.mark.parametrize("change", Change)
def test_every_change_has_words_of_its_own(change: Change) -> None:
    text, group = words_of(change)

    assert "." not in text
    assert text[0].isupper()
    assert list(WORDS.values()).count(text) == 1
    assert group == change.group


def test_every_group_can_be_chosen() -> None:
    assert [group for group, _ in GROUPS] == list(Group)


def test_an_entry_from_before_keeps_its_code() -> None:
    assert words_of("moon.landed") == ("moon.landed", "")
