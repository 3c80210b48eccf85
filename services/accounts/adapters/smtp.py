"""Mails handed to a relay over SMTP (RFC 5321), encrypted unless the relay is this machine."""

import asyncio
import contextlib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import msgspec

from libs.common.errors import InvalidInput
from libs.common.settings import Secret, SettingsError
from services.accounts.domain.emails import check_email
from services.accounts.domain.errors import MailDelayed, MailRefused
from services.accounts.domain.letters import Envelope
from services.accounts.domain.names import check_name

SECONDS: Final = 20.0
"""For one mail, from connecting to the relay's word that it has it."""

_NAME: Final = "ReqRun"
_GOODBYE_SECONDS: Final = 1.0
_PORTS: Final = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PERMANENT: Final = range(500, 600)
# The relay does not know us, or wants TLS: our settings are wrong, not this mail (RFC 4954, 6).
_ABOUT_US: Final = frozenset({530, 534, 535, 538})
# Bodies in ASCII, whatever is in them: no relay needs to know 8BITMIME.
_POLICY: Final = SMTP.clone(cte_type="7bit")


class RelayAddress(msgspec.Struct, frozen=True):
    """Where the relay is. `start_tls`: None takes it where it is offered."""

    host: str
    port: int
    username: str | None
    password: Secret | None
    is_tls: bool
    start_tls: bool | None


def parse_relay(url: Secret) -> RelayAddress:
    """`smtp://user:secret@host:587`, `smtps://…` (TLS at once), `smtp+plain://…` (none at all).

    Without TLS nobody but this machine may be spoken to over `smtp`. Raises SettingsError.
    """
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError):
        host, port = "", 0
    if not host:
        raise SettingsError("REQRUN_SMTP_URL is not like smtp://user:secret@host:587")
    must_start_tls = None if host in _LOCAL else True
    return RelayAddress(
        host=host,
        port=port,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else Secret(unquote(parts.password)),
        is_tls=parts.scheme == "smtps",
        start_tls=must_start_tls if parts.scheme == "smtp" else False,
    )


class SmtpPost:
    """Implements `ports.Post`: one connection for each mail, so that no mail holds up another."""

    def __init__(
        self, url: Secret, mail_from: str, *, ca_file: str = "", seconds: float = SECONDS
    ) -> None:
        """`mail_from`: `Name <address>`. `ca_file`: of the relay's, where it is a private one.

        Raises SettingsError.
        """
        self._relay, self._seconds = parse_relay(url), seconds
        self._tls = ssl.create_default_context(cafile=ca_file or None)
        self._sender = _sender(mail_from)

    async def send(self, envelope: Envelope) -> None:
        """Return when the relay has taken it on. Raises MailDelayed, MailRefused."""
        message = self._message(envelope).as_bytes(policy=_POLICY)
        client = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                await client.connect()
                await client.sendmail(self._sender.addr_spec, envelope.recipient, message)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # it has it already
                await client.quit(timeout=_GOODBYE_SECONDS)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _failure(refused.recipients[0].code) from None
        except aiosmtplib.SMTPDataError as refused:
            raise _failure(refused.code) from None
        except aiosmtplib.SMTPResponseException as about_us:
            raise MailDelayed(about_us.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            raise MailDelayed from None
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        relay = self._relay
        return aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=None if relay.password is None else relay.password.reveal(),
            # Or it would ask the name servers what we are called, and wait for them.
            local_hostname=self._sender.domain,
            timeout=self._seconds,
            use_tls=relay.is_tls,
            start_tls=relay.start_tls,
            tls_context=self._tls,
        )

    def _message(self, envelope: Envelope) -> EmailMessage:
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=envelope.recipient)
        message["Subject"] = envelope.letter.subject
        message["Date"] = format_datetime(envelope.written_at)
        # The same each time: a relay, or a mailbox, may know it again.
        message["Message-ID"] = f"<{envelope.id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
        message.set_content(envelope.letter.text)
        message.add_alternative(envelope.letter.html, subtype="html")
        return message


def _sender(mail_from: str) -> Address:
    name, address = parseaddr(mail_from)
    try:
        return Address(check_name(name or _NAME), addr_spec=check_email(address).text)
    except InvalidInput:
        raise SettingsError("REQRUN_MAIL_FROM is not like ReqRun <name@host>") from None


def _failure(code: int) -> MailDelayed | MailRefused:
    is_final = code in _PERMANENT and code not in _ABOUT_US
    return MailRefused(code) if is_final else MailDelayed(code)
