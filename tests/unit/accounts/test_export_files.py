"""Files that people take along: safe in a spreadsheet, whole in a ZIP, without a secret."""

import io
import json
import zipfile
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest

from services.accounts.domain import export_records as records
from services.accounts.domain.export import README, Archive, AuditRecord, csv_line
from services.accounts.models import Base

AT = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("=1+1", b"'=1+1\r\n"),
        ("+49", b"'+49\r\n"),
        ("-1", b"'-1\r\n"),
        ("@SUM(A1)", b"'@SUM(A1)\r\n"),
        ("\t=1", b"'\t=1\r\n"),
        ("\r=1", b'"\'\r=1"\r\n'),
        ('say "a, b"', b'"say ""a, b"""\r\n'),
        (AT, b"2026-11-23T12:00:01+00:00\r\n"),
        ("Zoë", "Zoë\r\n".encode()),
    ],
    ids=["equals", "plus", "minus", "at", "tab", "return", "quotes", "time", "letters"],
)
def test_a_cell_is_quoted_and_never_a_formula(cell: object, line: bytes) -> None:
    assert csv_line([cell]) == line


def test_a_cell_of_nothing_is_empty() -> None:
    assert csv_line(["a", None, "b"]) == b"a,,b\r\n"


def read(pieces: list[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(pieces)))


def test_an_archive_is_read_while_it_is_written() -> None:
    archive, pieces = Archive(AT), []
    archive.add("README.txt", b"hello")
    pieces.append(archive.take())
    with archive.array("many.json") as append:
        for start in range(0, 300_000, 1_000):
            append(b"%d" % number for number in range(start, start + 1_000))
            pieces.append(archive.take())
    with archive.array("none.json"):
        pass
    archive.close()
    pieces.append(archive.take())

    whole = read(pieces)
    assert whole.testzip() is None
    assert json.loads(whole.read("many.json")) == list(range(300_000))
    assert json.loads(whole.read("none.json")) == []
    assert whole.getinfo("README.txt").date_time == (2026, 11, 23, 12, 0, 0)  # even seconds only
    assert sum(1 for piece in pieces if piece) > 5


def test_an_array_that_broke_off_is_still_an_array() -> None:
    archive = Archive(AT)
    with suppress(ValueError), archive.array("some.json") as append:
        append([b"1", b"2"])
        raise ValueError
    archive.close()

    assert json.loads(read([archive.take()]).read("some.json")) == [1, 2]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        (None, b"null"),
        (b"<html>", b'"<html>"'),
        (b"\xff", '"\ufffd"'.encode()),
        (b'{"a": 1', b'"{\\"a\\": 1"'),
        (b"", b'""'),
        (b"[" * 5_000 + b"]" * 5_000, b'"' + b"[" * 5_000 + b"]" * 5_000 + b'"'),
    ],
    ids=["json", "nothing", "html", "bytes", "half", "empty", "too deep to read"],
)
def test_a_body_is_json_where_it_is_json(body: bytes | None, shown: bytes) -> None:
    assert records.embedded(body) == msgspec.Raw(shown)


KINDS = {
    "accounts": records.AccountRecord,
    "people": records.PersonRecord,
    "sessions": records.SessionRecord,
    "projects": records.ProjectRecord,
    "api_keys": records.ApiKeyRecord,
    "provider_connections": records.ConnectionRecord,
    "mails": records.MailRecord,
    "notices": records.NoticeRecord,
    "support_messages": records.SupportRecord,
    "support_entries": records.EntryRecord,
    "audit_events": AuditRecord,
}


@pytest.mark.parametrize("table", KINDS)
def test_every_column_is_exported_or_left_out_on_purpose(table: str) -> None:
    columns = set(Base.metadata.tables[table].columns.keys())
    shown = set(KINDS[table].__struct_fields__) - {"entries"}

    assert shown | records.LEFT_OUT[table] == columns
    assert shown & records.LEFT_OUT[table] == set()


# Tables of which nothing is exported, and why.
WHOLLY_LEFT_OUT = {
    "data_keys": "opens what the export holds in the clear",
    "links": "opens an account; gone within a day",
    "throttles": "digests of nobody's name",
    "abuse_signals": "counts by network, of nobody",
    "outbox": "what services tell each other",
}


def test_every_table_is_exported_or_left_out_on_purpose() -> None:
    assert set(Base.metadata.tables) == set(KINDS) | set(WHOLLY_LEFT_OUT)


def test_the_readme_names_every_file() -> None:
    for name in ("account", "person", "sessions", "projects", "api_keys", "audit", "support"):
        assert f"{name}.json".encode() in README
    for file in (b"provider_connections.json", b"mails.json", b"requests/", b"INCOMPLETE.txt"):
        assert file in README
