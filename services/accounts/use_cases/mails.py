"""Mails that wait are handed to the relay, until it has each of them or never will.

A worker takes one for a while, sends it, and marks it. If it dies in between, the mail goes out a
second time, with the same Message-ID; never not at all. A relay that is away or frozen costs each
mail a pause of its own, and nobody's mail waits behind another's.
"""

import asyncio
import contextlib
from datetime import timedelta
from itertools import islice
from typing import Final

from prometheus_client import Counter, Gauge

from libs.common import logs
from libs.common.database import DatabaseAway
from libs.common.pauses import growing
from libs.common.runtime import sleep
from services.accounts.domain.errors import MailDelayed, MailRefused
from services.accounts.domain.letters import Envelope, Letter, next_try
from services.accounts.models import Mail
from services.accounts.ports import Ports, Post
from services.accounts.repositories.mails import MailRepository

log = logs.get(__name__)

MAIL_DELAYED: Final = "mail_delayed"
MAIL_GIVEN_UP: Final = "mail_given_up"
MAIL_FAILED: Final = "mail_failed"
MAILS_UNREACHABLE: Final = "mails_unreachable"

WAITING: Final = Gauge("reqrun_mails_waiting", "Mails not sent and not given up")
OLDEST: Final = Gauge("reqrun_mails_oldest_age_seconds", "Age of the oldest mail that waits")
HANDLED: Final = Counter("reqrun_mails_handled_total", "Tries to send a mail", ["outcome"])
_SENT, _DELAYED, _GIVEN_UP = map(HANDLED.labels, ("sent", "delayed", "given_up"))

AT_ONCE: Final = 8
LEASE: Final = timedelta(seconds=90)
"""Longer than a try ever takes: until then no other worker takes the mail."""
POLL: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=30)
MEASURE_EVERY: Final = timedelta(seconds=15)

_MARK_TRIES: Final = 5
_FIRST_MARK_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_MARK_PAUSE: Final = timedelta(seconds=3)


class Delivery:
    """Any number of them may run, in any number of processes."""

    def __init__(self, ports: Ports, post: Post, *, poll: timedelta = POLL) -> None:
        """`poll`: how often to look when nothing is due."""
        self._ports, self._post, self._poll = ports, post, poll

    async def run(self, stop: asyncio.Event) -> None:
        """A loop: until `stop`; what it has in hand it finishes. Goes on through every outage."""
        pauses = growing(self._poll, LONGEST_PAUSE)
        under_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                under_way = {task for task in under_way if not task.done()}
                try:
                    taken = await self._take(max(AT_ONCE - len(under_way), 0))
                except Exception as error:  # whatever it is, the mails are safe where they are
                    log.warning(MAILS_UNREACHABLE, exc_info=error)
                    await sleep(stop, next(pauses))
                    continue
                pauses = growing(self._poll, LONGEST_PAUSE)
                under_way |= {group.create_task(self._handle(mail)) for mail in taken}
                await self._pause(stop, under_way)

    async def measure(self, stop: asyncio.Event) -> None:
        """A loop: tells how many wait."""
        while not await sleep(stop, MEASURE_EVERY.total_seconds()):
            try:
                await self.measure_once()
            except Exception as error:
                log.warning(MAILS_UNREACHABLE, exc_info=error)

    async def measure_once(self) -> None:
        """Bring the gauges up to date."""
        async with self._ports.db.transaction() as tx:
            backlog = await MailRepository(tx).backlog()
        now = self._ports.clock.now()
        WAITING.set(backlog.waiting)
        OLDEST.set((now - (backlog.oldest_at or now)).total_seconds())

    async def _take(self, room: int) -> list[Mail]:
        async with self._ports.db.transaction() as tx:
            now = self._ports.clock.now()
            return list(await MailRepository(tx).claim(room, now=now, lease=LEASE))

    async def _pause(self, stop: asyncio.Event, under_way: set[asyncio.Task[None]]) -> None:
        """Until there is room, and perhaps something to take."""
        seconds = self._poll.total_seconds()
        if len(under_way) < AT_ONCE:
            await sleep(stop, seconds)
        else:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(under_way, timeout=seconds, return_when=first)

    async def _handle(self, mail: Mail) -> None:
        """One try. Never raises: what goes wrong is this mail's alone."""
        try:
            await self._send(mail)
        except Exception as error:  # its lease ends by itself, and it is tried again
            log.warning(MAIL_FAILED, message_id=mail.id, kind=mail.kind, exc_info=error)

    async def _send(self, mail: Mail) -> None:
        try:
            await self._post.send(_envelope(mail))
        except MailRefused as refused:
            await self._give_up(mail, refused.status_code)
        except MailDelayed as delayed:
            await self._delay(mail, delayed.status_code)
        else:
            await self._mark_sent(mail)
            _SENT.inc()

    async def _mark_sent(self, mail: Mail) -> None:
        """Not given up at the first trouble: what is not marked goes out a second time."""
        for pause in islice(growing(_FIRST_MARK_PAUSE, _LONGEST_MARK_PAUSE), _MARK_TRIES):
            with contextlib.suppress(DatabaseAway):
                await self._mark_once(mail)
                return
            await asyncio.sleep(pause)
        await self._mark_once(mail)

    async def _mark_once(self, mail: Mail) -> None:
        async with self._ports.db.transaction() as tx:
            await MailRepository(tx).mark_sent(mail.id, now=self._ports.clock.now())

    async def _delay(self, mail: Mail, status_code: int) -> None:
        until = next_try(mail.tries, mail.created_at, self._ports.clock.now())
        if until is None:
            await self._give_up(mail, status_code)
            return
        async with self._ports.db.transaction() as tx:
            await MailRepository(tx).delay(mail.id, until=until)
        _DELAYED.inc()
        log.warning(
            MAIL_DELAYED,
            message_id=mail.id,
            kind=mail.kind,
            attempts=mail.tries,
            status_code=status_code,
        )

    async def _give_up(self, mail: Mail, status_code: int) -> None:
        async with self._ports.db.transaction() as tx:
            await MailRepository(tx).give_up(mail.id, now=self._ports.clock.now())
        _GIVEN_UP.inc()
        log.error(MAIL_GIVEN_UP, message_id=mail.id, kind=mail.kind, status_code=status_code)


def _envelope(mail: Mail) -> Envelope:
    return Envelope(
        id=mail.id,
        recipient=mail.recipient,
        letter=Letter(subject=mail.subject, text=mail.text, html=mail.html),
        written_at=mail.created_at,
    )
