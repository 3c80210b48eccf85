"""Numbers as pages show them."""

import pytest

from services.accounts.pages.rendering import number, rounded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9_999_999, "9,999,999"),
        (10_000_000, "10.0 M"),
        (11_146_562, "11.1 M"),
        (2_360_000_000, "2.4 G"),
    ],
)
def test_what_is_too_wide_is_rounded(value: int, text: str) -> None:
    assert rounded(value) == text


def test_thousands_are_told_apart() -> None:
    assert number(1_234_567) == "1,234,567"
