"""What somebody takes along: how files are written, safely for the programs that open them."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from services.accounts.domain.throttles import Bound

README: Final = (Path(__file__).parent / "data" / "export_readme.txt").read_bytes()
"""What each file of an export is."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet may compute (OWASP, CSV injection)."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which thing, from where. Its fields are the columns of the CSV file."""

    at: datetime
    what: str
    actor: str
    network: str | None
    subject_id: str
    project_id: str | None
    detail: str | None


def csv_line(cells: Iterable[object]) -> bytes:
    """One line of RFC 4180 in UTF-8. What looks like a formula begins with an apostrophe."""
    line = io.StringIO()
    csv.writer(line).writerow([_cell(cell) for cell in cells])
    return line.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def bounds_of(account_id: str) -> list[Bound]:
    """How often an account may be exported: it costs us more than it costs who asks."""
    return [Bound(f"export.{account_id}", 5, timedelta(days=1))]


class Archive:
    """A ZIP file that is read while it is written: nothing of it is kept."""

    def __init__(self, made_at: datetime) -> None:
        """`made_at`: of all the files in it."""
        self._made_at = made_at.timetuple()[:6]
        self._outlet = _Outlet()
        self._zip = ZipFile(self._outlet, "w", ZIP_DEFLATED)

    def add(self, name: str, content: bytes) -> None:
        """A whole file."""
        self._zip.writestr(self._info(name), content)

    @contextmanager
    def array(self, name: str) -> Iterator["Append"]:
        """A file that is one JSON array, as long as it may be; one file at a time."""
        between = b"[\n"
        # Its size is not known at its beginning: it may be over 4 GiB.
        with self._zip.open(self._info(name), "w", force_zip64=True) as file:

            def append(elements: Iterable[bytes]) -> None:
                nonlocal between
                for element in elements:
                    file.write(between + element)
                    between = b",\n"

            try:
                yield append
            finally:
                file.write(b"[]\n" if between == b"[\n" else b"\n]\n")

    def close(self) -> None:
        """The directory at its end. Without it programs take the file for broken, as it is then."""
        self._zip.close()

    def take(self) -> bytes:
        """What was written since the last time."""
        return self._outlet.take()

    def _info(self, name: str) -> ZipInfo:
        info = ZipInfo(name, self._made_at)
        info.compress_type = ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info


Append = Callable[[Iterable[bytes]], None]
"""Adds elements to an array, each encoded already."""


class _Outlet(io.RawIOBase):
    """A file that can neither be read nor wound back; what was written is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        content = bytes(memoryview(piece))  # type: ignore[arg-type]  # any buffer
        self._pieces.append(content)
        return len(content)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken
