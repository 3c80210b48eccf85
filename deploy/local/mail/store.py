"""Mails as files, the newest few hundred of them."""

import email
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

import msgspec

from libs.common.ids import ALPHABET, LENGTH, is_id, new_id

KEPT: Final = 500
UNREADABLE: Final = "(cannot be read)"
_SUFFIX: Final = ".eml"
_RECIPIENT: Final = b"Delivered-To: "
_TIME_CHARACTERS: Final = 10


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One that came in. `recipient`: whom the relay was given, whatever the header says."""

    id: str
    at: datetime
    recipient: str
    sender: str
    subject: str
    text: str
    html: str


class Store:
    """A folder. It may be looked at while mails come in."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        """Make it if it is not there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._kept = folder, kept

    def add(self, content: bytes, recipients: Sequence[str]) -> None:
        """One for each recipient; the oldest make room."""
        for recipient in recipients:
            self._write(new_id("mail"), _RECIPIENT + recipient.encode() + b"\r\n" + content)
        for old in self._files()[: -self._kept]:
            old.unlink(missing_ok=True)

    def newest(self) -> list[Mail]:
        """All of them, the newest first."""
        found = (self._read(file.name.removesuffix(_SUFFIX)) for file in reversed(self._files()))
        return [mail for mail in found if mail is not None]

    def find(self, mail_id: str) -> Mail | None:
        """One of them."""
        return self._read(mail_id) if is_id("mail", mail_id) else None

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _write(self, mail_id: str, content: bytes) -> None:
        """All at once: nobody reads half a mail."""
        hidden = self._folder / f".{mail_id}"
        try:
            hidden.touch(mode=0o600)
            hidden.write_bytes(content)
            hidden.rename(self._folder / f"{mail_id}{_SUFFIX}")
        finally:
            hidden.unlink(missing_ok=True)  # what did not fit

    def _read(self, mail_id: str) -> Mail | None:
        try:
            content = (self._folder / f"{mail_id}{_SUFFIX}").read_bytes()
        except FileNotFoundError:  # it made room meanwhile
            return None
        try:
            return _parsed(mail_id, content)
        except Exception:  # noqa: BLE001  # the parser has many; the other mails are still shown
            return _unread(mail_id, content)


def _parsed(mail_id: str, content: bytes) -> Mail:
    message = email.message_from_bytes(content, policy=default)
    return Mail(
        id=mail_id,
        at=_moment(mail_id),
        recipient=_recipient(content),
        sender=_shown(message["From"] or ""),
        subject=_shown(message["Subject"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _unread(mail_id: str, content: bytes) -> Mail:
    """One that is no mail to the parser, as it came."""
    return Mail(
        id=mail_id,
        at=_moment(mail_id),
        recipient=_recipient(content),
        sender="",
        subject=UNREADABLE,
        text=content.decode(errors="replace"),
        html="",
    )


def _recipient(content: bytes) -> str:
    """What `_write` put in front."""
    line, _, _ = content.partition(b"\r\n")
    return line.removeprefix(_RECIPIENT).decode(errors="replace")


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else _shown(part.get_content())


def _shown(text: object) -> str:
    """Half a surrogate pair, which UTF-7 and others may bring, cannot be written anywhere."""
    return str(text).encode(errors="replace").decode()


def _moment(mail_id: str) -> datetime:
    """When its id was made: the first 48 of its 130 bits, in milliseconds."""
    digits = mail_id[-LENGTH:][:_TIME_CHARACTERS]
    number = 0
    for character in digits:
        number = number * len(ALPHABET) + ALPHABET.index(character)
    return datetime.fromtimestamp(number / 1000, UTC)
