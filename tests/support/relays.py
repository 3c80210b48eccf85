"""SMTP relays that do what a test wants: take, refuse, ask for patience, stand still."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from deploy.local.ports import free_ports

_GOOD: Final = "250 OK"


class Relay:
    """`on_recipient`, `on_content`: what it says instead of OK; by recipient, and to every mail."""

    def __init__(self, port: int) -> None:
        """Takes everything."""
        self.port = port
        self.taken: list[EmailMessage] = []
        self.on_recipient: Mapping[str, str] = {}
        self.on_content = _GOOD
        self.was_encrypted = False
        self.moves = asyncio.Event()
        self.moves.set()

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """See aiosmtpd."""
        del server, session, options
        await self.moves.wait()
        answer = self.on_recipient.get(address, _GOOD)
        if answer == _GOOD:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """See aiosmtpd."""
        del server
        content = envelope.content
        assert isinstance(content, bytes)
        assert content.isascii()
        if self.on_content == _GOOD:
            self.was_encrypted = session.ssl is not None
            self.taken.append(email.message_from_bytes(content, policy=default))
        return self.on_content

    def recipients(self) -> list[str]:
        """Of what it took, in order."""
        return [str(message["To"]) for message in self.taken]


def authenticate(name: bytes, secret: bytes) -> bool:
    """Whom a relay with `must_log_in` lets in."""
    return (name, secret) == (b"re:qrun", b"s/ecret")


@asynccontextmanager
async def running(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    is_tls_at_once: bool = False,
    must_log_in: bool = False,
) -> AsyncIterator[Relay]:
    """A relay on a free port, or on this one; `tls`: at once, or after STARTTLS."""
    relay = Relay(port or free_ports())

    def check(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        del server, session, envelope, mechanism
        login, password = getattr(data, "login", b""), getattr(data, "password", b"")
        return AuthResult(success=authenticate(login, password))

    def connection() -> SMTP:
        return SMTP(
            relay,
            hostname="relay.example",
            tls_context=None if is_tls_at_once else tls,
            auth_required=must_log_in,
            authenticator=check if must_log_in else None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        connection, host, relay.port, ssl=tls if is_tls_at_once else None
    )
    try:
        yield relay
    finally:
        relay.moves.set()
        server.close()
