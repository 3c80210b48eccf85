"""Texts that must be found nowhere, every form they could hide in, and the search for them."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

_PIECE: Final = 4 * 1024 * 1024
_OVERLAP: Final = 4096
_SHIFTS: Final = 3
_PLAIN: Final = re.compile(r"[\w-]{12,}", re.ASCII)


class Hit(msgspec.Struct, frozen=True, order=True):
    """Where one was found, and in which form."""

    place: str
    name: str
    form: str


def forms(text: str) -> dict[str, bytes]:
    """How a text looks where somebody has written it down.

    Base64 looks different at each of three offsets; what stands there whatever surrounds the text
    is kept of each.
    """
    raw = text.encode()
    found = {
        "raw": raw,
        "json": json.dumps(text)[1:-1].encode(),
        "json as utf-8": json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        "json twice": json.dumps(json.dumps(text))[3:-3].encode(),
        "hex": raw.hex().encode(),
        "utf-16-le": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
    }
    for shift in range(_SHIFTS):
        whole = base64.b64encode(b"\0" * shift + raw)
        found[f"base64 {shift}"] = whole[4 if shift else 0 : -4]
    return found


def _start(text: str) -> str:
    """What no escaping changes, up to the first character that one might."""
    found = _PLAIN.match(text)
    assert found is not None, "a canary begins with letters that are nowhere else"
    return found[0]


class Search:
    """Looks for canaries, by name, in bytes and in whole folders."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._needles = {
            (name, form, needle)
            for name, text in texts.items()
            for whole_or_start in (text, _start(text))
            for form, needle in forms(whole_or_start).items()
        }

    def in_bytes(self, place: str, content: bytes) -> set[Hit]:
        """Every canary in `content`."""
        return {Hit(place, name, form) for name, form, needle in self._needles if needle in content}

    def in_folders(self, *folders: Path) -> set[Hit]:
        """Every canary in the files below, read in pieces that overlap."""
        return {
            hit
            for file in _files(folders)
            for piece in _pieces(file)
            for hit in self.in_bytes(str(file), piece)
        }


def size(*folders: Path) -> int:
    """How many bytes a search of them reads."""
    return sum(file.stat().st_size for file in _files(folders))


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file())


def _pieces(file: Path) -> Iterator[bytes]:
    """A file that is gone meanwhile, as servers' files are, has nothing to tell."""
    tail = b""
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                yield tail + piece
                tail = piece[-_OVERLAP:]
    except FileNotFoundError:
        return
