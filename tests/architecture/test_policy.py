"""The privacy policy, the code that keeps it, and the tests that prove it stay together."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final, NamedTuple

import pytest

from services.accounts.models import Person, Session
from services.billing.models import Base as BillingBase
from tests.support.source import ROOT, functions_in

DOCUMENT: Final = ROOT / "docs" / "privacy.md"
POLICY: Final = ROOT / "services" / "accounts" / "pages" / "templates" / "privacy.html"


class Row(NamedTuple):
    """One promise, where it is kept, and the tests that prove it."""

    promise: str
    code: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> Iterator[Row]:
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "promise":
            promise, code, tests = cells
            paths = re.findall(r"`(\w[\w./-]*/[\w./-]+\.\w+)`", code)
            yield Row(promise, tuple(paths), tuple(re.findall(r"`(tests/[^`]+)`", tests)))


def policy() -> Iterator[str]:
    """Its sentences, as a person reads them."""
    page = POLICY.read_text().partition("<h2>")[2]
    for block in re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", page):
        text = unescape(re.sub(r"<[^>]+>|\{\{.*?\}\}", "", block)).strip()
        yield from re.split(r"(?<=[.?]) (?=[A-Z])", text)


def without_promise() -> list[str]:
    told = DOCUMENT.read_text().partition("## What promises nothing of its own")[2]
    return re.findall(r"^- (.+)$", told, re.MULTILINE)


ROWS: Final = tuple(rows())


def test_there_is_something_to_check() -> None:
    assert len(ROWS) > 30
    assert len(list(policy())) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.promise[:40])
def test_a_promise_names_code_and_tests_that_exist(row: Row) -> None:
    assert row.code
    assert row.tests
    assert [path for path in row.code if not (ROOT / path).is_file()] == []
    for named in row.tests:
        path, _, test = named.partition("::")
        assert (ROOT / path).is_file(), path
        assert test in functions_in(path), named


@pytest.mark.parametrize("sentence", list(policy()), ids=lambda sentence: sentence[:40])
def test_every_sentence_of_the_policy_has_its_row(sentence: str) -> None:
    known = [row.promise for row in ROWS] + without_promise()

    assert any(promise in sentence for promise in known)


def test_no_row_is_about_what_the_policy_does_not_say() -> None:
    said = "\n".join(policy())

    assert [row.promise for row in ROWS if row.promise not in said] == []


def test_of_a_person_nothing_is_kept_but_what_the_policy_names() -> None:
    """E-mail address, name, company, country, password hash; and sessions."""
    named = {"email", "email_key", "name", "company", "country", "password_hash"}
    ours = {"id", "account_id", "created_at", "verified_at", "wants_notices"}
    accepted = {"terms_version", "terms_accepted_at", "told_version"}
    assert set(Person.__table__.columns.keys()) == named | ours | accepted

    place, times = {"network", "agent"}, {"created_at", "seen_at", "ended_at"}
    assert set(Session.__table__.columns.keys()) == {"id", "digest", "person_id"} | place | times


def test_of_payers_nothing_is_kept_but_what_invoices_need() -> None:
    """Who adds a column says here why: names of people, streets and cards are Paddle's to keep."""
    paying = re.compile("mail|name|invoice|tax|vat|card|address|street|city|country|phone|postal")
    columns = {
        f"{table.name}.{column.name}"
        for table in BillingBase.metadata.sorted_tables
        for column in table.columns
    }

    ids = {f"{table}.{name}" for table in ("subscriptions", "transactions")
           for name in ("address_id", "named_account_id")}  # fmt: skip
    jobs = {"nights.name"}
    found = {name for name in columns if paying.search(name.partition(".")[2])}
    assert found - ids - jobs == {
        "addresses.country",
        "addresses.postal_code",
        "businesses.name",
        "businesses.tax_id",
        "customers.email",
        "transactions.invoice_number",
        "transactions.tax",
    }
