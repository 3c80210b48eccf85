"""The mail catcher of the local stack, as a process: what is sent there can be read there."""

import asyncio
import os
import smtplib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from deploy.local.mail.store import Store
from deploy.local.ports import free_ports
from deploy.local.programs import Program, Running
from libs.common.settings import Secret
from services.accounts.adapters.smtp import SmtpPost
from services.accounts.domain.letters import Envelope, Letter
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
HOSTILE = Letter(
    subject="<script>alert(1)</script> Grüße",
    text="Open http://127.0.0.1:1/verify?token=abc <b>",
    html="<!doctype html><html><head></head><body><script>alert(1)</script>Hello</body></html>",
)


class Catcher:
    """Its process, and what it shows."""

    def __init__(self, folder: Path) -> None:
        self.page, self.smtp, self.internal = (free_ports() for _ in range(3))
        settings = {
            "MAIL_FOLDER": str(folder / "mails"),
            "PORT": str(self.page),
            "SMTP_PORT": str(self.smtp),
            "INTERNAL_PORT": str(self.internal),
        }
        named = {f"REQRUN_{name}": value for name, value in settings.items()}
        program = Program(
            name="mail",
            command=(sys.executable, "-m", "deploy.local.mail"),
            environment={"PATH": os.defpath, **named},
            folder=str(ROOT),
            log=str(folder / "mail.log"),
        )
        self.process = Running(program)

    async def start(self) -> None:
        self.process.start()
        await until(self._is_ready)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.page}{path}", headers=headers)

    async def mails(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.get(f"/mails.json{query}")
        found: list[dict[str, Any]] = answer.json()
        return found

    async def send(self, to: str, letter: Letter = HOSTILE) -> None:
        post = SmtpPost(Secret(f"smtp+plain://127.0.0.1:{self.smtp}"), "ReqRun <reqrun@a.example>")
        at = datetime.now(UTC)
        await post.send(Envelope(id=f"mail_{to}", recipient=to, letter=letter, written_at=at))

    async def _is_ready(self) -> bool:
        async with httpx2.AsyncClient(trust_env=False) as client:
            try:
                url = f"http://127.0.0.1:{self.internal}/readyz"
                return (await client.get(url)).status_code == 200
            except httpx2.TransportError:
                return False


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[Catcher]:
    made = Catcher(tmp_path)
    yield made
    made.process.stop()


async def test_what_is_sent_can_be_read_also_after_a_restart(catcher: Catcher) -> None:
    await catcher.start()
    await catcher.send("ada@example.org")
    await catcher.send("bob@example.org")
    catcher.process.stop()
    await catcher.start()

    mails = await catcher.mails()

    assert [mail["recipient"] for mail in mails] == ["bob@example.org", "ada@example.org"]
    assert [mail["recipient"] for mail in await catcher.mails("?to=ada@example.org")] == [
        "ada@example.org"
    ]
    assert mails[0]["subject"] == HOSTILE.subject
    assert mails[0]["sender"] == "ReqRun <reqrun@a.example>"
    assert mails[0]["text"].strip() == HOSTILE.text
    assert mails[0]["html"].strip() == HOSTILE.html
    at = datetime.fromisoformat(mails[0]["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


async def test_no_mail_can_run_anything_in_the_pages(catcher: Catcher) -> None:
    await catcher.start()
    await catcher.send("ada@example.org")
    [mail] = await catcher.mails()

    for path in ("/", f"/mails/{mail['id']}"):
        answer = await catcher.get(path)
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
    frame = await catcher.get(f"/mails/{mail['id']}/html")
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "Hello" in frame.text


async def test_pages_answer_to_this_machines_name_only(catcher: Catcher) -> None:
    await catcher.start()

    assert (await catcher.get("/mails.json", host="evil.example")).status_code == 400
    host = f"localhost:{catcher.page}"
    assert (await catcher.get("/mails.json", host=host)).status_code == 200
    assert (await catcher.get("/mails/../../etc/passwd")).status_code == 404
    assert (await catcher.get("/mails/mail_unknown")).status_code == 404
    assert (await catcher.get("/style.css")).headers["content-type"].startswith("text/css")


ODD = {
    "an unknown charset": b"Subject: 1\r\nContent-Type: text/plain; charset=klingon\r\n\r\nqapla",
    "a sender that ends early": b"From: a@\r\nSubject: 2\r\n\r\nHello",
    "half a surrogate pair": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    "bytes": bytes(range(256)),
    "nothing": b"",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_a_mail_that_cannot_be_read_hides_no_other(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path / "mails")
    store.add(b"Subject: before\r\n\r\nHello", ["ada@example.org"])
    store.add(content, ["bob@example.org"])
    store.add(b"Subject: after\r\n\r\nHello", ["ada@example.org"])

    mails = store.newest()

    assert sorted(mail.recipient for mail in mails) == ["ada@example.org"] * 2 + ["bob@example.org"]
    assert {mail.subject for mail in mails} >= {"after", "before"}
    assert msgspec.json.encode(mails)


async def test_a_mail_that_cannot_be_kept_may_be_sent_again(
    catcher: Catcher, tmp_path: Path
) -> None:
    await catcher.start()
    (tmp_path / "mails").rename(tmp_path / "elsewhere")

    with pytest.raises(smtplib.SMTPDataError) as refused:
        await asyncio.to_thread(_hand_over, catcher.smtp)
    (tmp_path / "elsewhere").rename(tmp_path / "mails")
    await asyncio.to_thread(_hand_over, catcher.smtp)

    assert refused.value.smtp_code == 451
    assert [mail["recipient"] for mail in await catcher.mails()] == ["ada@example.org"]


def _hand_over(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as relay:
        relay.sendmail("reqrun@a.example", ["ada@example.org"], b"Subject: x\r\n\r\nHello")


def test_the_newest_are_kept_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "mails", kept=3)
    for number in range(5):
        store.add(b"Subject: %d\r\n\r\nHello" % number, ["ada@example.org"])

    assert len(store.newest()) == 3
    assert [file.stat().st_mode & 0o777 for file in (tmp_path / "mails").iterdir()] == [0o600] * 3
    assert (tmp_path / "mails").stat().st_mode & 0o777 == 0o700


def test_a_mail_without_parts_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(b"\xff\xfe nothing \x00", ["ada@example.org"])

    [mail] = store.newest()

    assert mail.recipient == "ada@example.org"
    assert mail.html == ""
