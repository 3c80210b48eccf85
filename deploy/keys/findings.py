"""Is everything there, private, and whole? One finding an item; problems in plain words."""

import base64
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from deploy.keys import folder as key_folder
from deploy.keys.folder import FILES, KeysRefused
from deploy.keys.material import PEPPER_BYTES, Pepper, SealingPair, ServicePair
from libs.common.crypto import SealingKey

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Finding(msgspec.Struct, frozen=True):
    """What was found out about one item."""

    item: str
    is_good: bool
    says: str


class Report(msgspec.Struct, frozen=True):
    """All findings. `is_good`: every one of them is."""

    is_good: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: list[Finding]) -> "Report":
        """The whole."""
        return cls(all(finding.is_good for finding in findings), findings)


def inspect(folder: Path) -> list[Finding]:
    """The folder and each file in it: present, readable, private, halves that match."""
    return [_of_folder(folder), *(_of_file(folder / name) for name in FILES)]


def _of_folder(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(str(folder), is_good=False, says="is not there")
    return _finding(str(folder), _open_to_others(folder), "private")


def _of_file(file: Path) -> Finding:
    try:
        content = key_folder.read(file, FILES[file.name])
    except KeysRefused as refused:
        return Finding(file.name, is_good=False, says=str(refused))
    problems = [*_open_to_others(file), *_faults(content)]
    return _finding(file.name, problems, _praise(content))


def _finding(item: str, problems: Iterator[str] | list[str], praise: str) -> Finding:
    found = list(problems)
    return Finding(item, not found, "; ".join(found) or praise)


def _open_to_others(path: Path) -> Iterator[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        yield f"others than its owner can use it (mode {mode:o})"


def _praise(content: Any) -> str:
    if isinstance(content, ServicePair):
        return f"key {content.key_id}, halves match"
    names = [str(getattr(key, "key_id", None) or key.id) for key in content]
    return f"newest first: {', '.join(names)}"


def _faults(content: Any) -> Iterator[str]:
    if isinstance(content, tuple) and not content:
        yield "holds no key"
    ids = [getattr(key, "id", None) for key in content] if isinstance(content, tuple) else []
    if ids != sorted(ids, key=lambda number: number or 0, reverse=True):
        yield "the newest does not come first"
    for key in content if isinstance(content, tuple) else (content,):
        yield from _FAULTS[type(key)](key)


def _pepper_faults(pepper: Pepper) -> Iterator[str]:
    try:
        size = len(base64.b64decode(pepper.secret, validate=True))
    except ValueError:
        size = 0
    if size < PEPPER_BYTES:
        yield f"pepper {pepper.id} is not base64 of {PEPPER_BYTES} bytes"


def _sealing_faults(pair: SealingPair) -> Iterator[str]:
    try:
        key = SealingKey.from_text(pair.private)
    except ValueError:
        yield f"key {pair.key_id} is no X25519 private key"
        return
    if (key.public_text(), key.public.key_id.hex()) != (pair.public, pair.key_id):
        yield f"the halves of key {pair.key_id} do not match"


def _service_faults(pair: ServicePair) -> Iterator[str]:
    try:
        key = load_pem_private_key(pair.private.encode(), None)
    except ValueError:
        yield f"key {pair.key_id} is no private key"
        return
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not isinstance(key, Ed25519PrivateKey) or public.decode() != pair.public:
        yield f"the halves of key {pair.key_id} do not match"


_FAULTS: Final[Mapping[type, Callable[[Any], Iterator[str]]]] = {
    Pepper: _pepper_faults,
    SealingPair: _sealing_faults,
    ServicePair: _service_faults,
}
