"""Names, lives and digests of API keys."""

from datetime import timedelta

import pytest

from services.accounts.domain.errors import InvalidDigests, InvalidExpiry, InvalidName
from services.accounts.domain.keys import check_life, parse_digests
from services.accounts.domain.names import check_name


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x00b", "\ud800"])
def test_what_nobody_could_read_is_no_name(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "x" * 100, "Grüße 🚀", " around "])
def test_other_names_are_kept_without_the_blanks_around_them(name: str) -> None:
    assert check_name(name) == name.strip()


@pytest.mark.parametrize("days", [-1, 0, 3_651])
def test_no_key_lives_for_no_time_or_for_ever_by_mistake(days: int) -> None:
    with pytest.raises(InvalidExpiry):
        check_life(timedelta(days=days))


@pytest.mark.parametrize("life", [None, timedelta(days=1), timedelta(days=3_650)])
def test_other_lives_are_kept(life: timedelta | None) -> None:
    assert check_life(life) == life


def test_digests_are_read_from_hex() -> None:
    assert parse_digests(("00" * 32, "Ff" * 32), 2) == [bytes(32), b"\xff" * 32]


@pytest.mark.parametrize("texts", [("00" * 32,) * 3, ("0g" * 32,), ("00" * 31,), ("",)])
def test_what_is_no_digest_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDigests):
        parse_digests(texts, 2)
