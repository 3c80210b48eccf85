"""Names that people give to accounts, projects and keys."""

from typing import Final

from services.accounts.domain.errors import InvalidName

LONGEST: Final = 100  # characters


def check_name(name: str) -> str:
    """`name` without the blanks around it. Raises InvalidName."""
    name = name.strip()
    if not name or len(name) > LONGEST or not name.isprintable():
        raise InvalidName(f"A name has 1 to {LONGEST} printable characters.")
    return name
