"""The way to a relay: encrypted unless it is this machine; no mail is lost by our own fault."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.common.settings import Secret
from services.accounts.adapters.smtp import SmtpPost
from services.accounts.domain.errors import MailDelayed, MailRefused
from services.accounts.domain.letters import Envelope, Letter
from tests.support import relays
from tests.support.certificates import self_signed, server_context

ENVELOPE = Envelope(
    id="mail_1",
    recipient="ada@example.org",
    letter=Letter(subject="Hello", text="Hello", html="<p>Hello</p>"),
    written_at=datetime(2026, 3, 14, tzinfo=UTC),
)
FROM = "reqrun@app.example"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path, "localhost")


def post(url: str, ca_file: Path | str = "") -> SmtpPost:
    return SmtpPost(Secret(url), FROM, ca_file=str(ca_file), seconds=5)


async def test_a_relay_with_tls_at_once_is_spoken_to_if_its_certificate_is_known(
    certificate: Path,
) -> None:
    context = server_context(certificate)
    async with relays.running(tls=context, is_tls_at_once=True) as relay:
        url = f"smtps://localhost:{relay.port}"
        with pytest.raises(MailDelayed):
            await post(url).send(ENVELOPE)
        await post(url, certificate).send(ENVELOPE)

    assert relay.recipients() == ["ada@example.org"]


async def test_tls_is_taken_where_it_is_offered(certificate: Path) -> None:
    async with relays.running(tls=server_context(certificate)) as relay:
        await post(f"smtp://localhost:{relay.port}", certificate).send(ENVELOPE)

    assert relay.was_encrypted


async def test_a_relay_on_this_machine_may_do_without() -> None:
    async with relays.running() as relay:
        await post(f"smtp://127.0.0.1:{relay.port}").send(ENVELOPE)

    assert len(relay.taken) == 1


async def test_elsewhere_nothing_is_said_without_tls() -> None:
    async with relays.running(host="127.0.0.2") as relay:
        with pytest.raises(MailDelayed):
            await post(f"smtp://127.0.0.2:{relay.port}").send(ENVELOPE)

    assert relay.taken == []


async def test_name_and_secret_may_hold_any_character(certificate: Path) -> None:
    async with relays.running(tls=server_context(certificate), must_log_in=True) as relay:
        url = f"smtp://re%3Aqrun:s%2Fecret@localhost:{relay.port}"
        await post(url, certificate).send(ENVELOPE)

    assert len(relay.taken) == 1


@pytest.mark.parametrize("account", ["", "re%3Aqrun:wrong@"], ids=["none", "a wrong one"])
async def test_a_relay_that_does_not_know_us_is_our_fault_and_not_the_mails(
    certificate: Path, account: str
) -> None:
    async with relays.running(tls=server_context(certificate), must_log_in=True) as relay:
        with pytest.raises(MailDelayed):
            await post(f"smtp://{account}localhost:{relay.port}", certificate).send(ENVELOPE)

    assert relay.taken == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 No such mailbox", MailRefused),
        ("554 Spam", MailRefused),
        ("530 Log in first", MailDelayed),
        ("450 Busy", MailDelayed),
        ("421 Closing", MailDelayed),
    ],
    ids=["550", "554", "530", "450", "421"],
)
async def test_five_hundreds_are_final_unless_they_are_about_us(
    answer: str, expected: type[Exception]
) -> None:
    async with relays.running() as relay:
        relay.on_recipient = {ENVELOPE.recipient: answer}
        with pytest.raises(expected):
            await post(f"smtp+plain://127.0.0.1:{relay.port}").send(ENVELOPE)
