"""The SMTP side: takes every mail from this machine, and sends none on."""

import asyncio
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.mail.store import Store
from libs.common import logs
from libs.common.runtime import Loop

log = logs.get(__name__)

MAIL_NOT_KEPT: Final = "mail_not_kept"

LARGEST: Final = 1024 * 1024
"""Bytes of one mail."""


class _Catch:
    """What aiosmtpd calls for each mail."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Answer only when it is on disk; where it cannot be, it may come again (RFC 5321)."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            await asyncio.to_thread(self._store.add, content, envelope.rcpt_tos)
        except Exception:  # left to the library, this would be a refusal for good
            log.exception(MAIL_NOT_KEPT)
            return "451 Not kept. Try again later"
        return "250 Kept"


def serve(store: Store, host: str, port: int) -> Loop:
    """A loop that listens until it is asked to stop."""

    def connection() -> SMTP:
        return SMTP(
            _Catch(store), hostname="localhost", ident="mail catcher", data_size_limit=LARGEST
        )

    async def loop(stop: asyncio.Event) -> None:
        server = await asyncio.get_running_loop().create_server(connection, host, port)
        await stop.wait()
        server.close()  # who is connected has the whole process's time to end

    return loop
