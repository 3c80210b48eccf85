"""The fenced blocks of README and docs: what a reader is told to type, and what they see."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(msgspec.Struct, frozen=True):
    """`page`: its path from the root. `language`: what stands behind the fence, may be empty."""

    page: str
    language: str
    line: int
    text: str


def pages() -> list[Path]:
    """Everything a reader of the project is led to, but decisions."""
    docs = sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs" / "guides").glob("*.md"))
    others = ("README.md", "bench/README.md", "clients/python/README.md", "clients/js/README.md")
    return [ROOT / other for other in others] + docs


def blocks(page: Path) -> Iterator[Block]:
    """In order."""
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    for found in _FENCE.finditer(text):
        yield Block(name, found[1], text.count("\n", 0, found.start()) + 1, found[2])


def all_blocks() -> list[Block]:
    """Of all pages."""
    return [block for page in pages() for block in blocks(page)]


def blocks_of(page: str, language: str) -> list[Block]:
    """Those of one page in one language, in order."""
    return [block for block in blocks(ROOT / page) if block.language == language]


SHELL_PAGES: Final = ("README.md", "docs/quickstart.md")
"""Whose `sh` blocks are run, one after the other."""

PROGRAM_PAGES: Final = (
    "README.md",
    "clients/python/README.md",
    "docs/clients.md",
    "docs/guides/errors.md",
    "docs/guides/idempotency.md",
    "docs/guides/signing.md",
    "docs/guides/stock-sdk.md",
    "docs/guides/waiting.md",
)
"""Whose `python` blocks are run, as one program a page."""
