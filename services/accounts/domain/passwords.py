"""Passwords: which are good enough, and how they are kept.

Argon2id with the parameters of OWASP's Password Storage Cheat Sheet (19 MiB, two passes, one lane).
Length is the only rule besides not being easy to guess: NIST SP 800-63B, 3.1.1.2.
"""

import os
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from services.accounts.domain.errors import WeakPassword

SHORTEST: Final = 12
LONGEST: Final = 128
"""Characters."""

_COMMON: Final = Path(__file__).parent / "data" / "common_passwords.txt"
# What is left of a password without these must still be worth guessing.
_OURS: Final = ("reqrun",)
_WORTH: Final = 8
_SHORTEST_WORD: Final = 4
_LONGEST_UNIT: Final = 4  # `abcabcabcabc`
_AROUND: Final = "0123456789!?.,;:#$%&*+-_=@ "
_LETTERS: Final = str.maketrans("013457@$!", "oleastasi")  # `P@ssw0rd!2026`
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_PASSES, _LANES, _MEMORY_KIB = 2, 1, 19 * 1024
_PARAMETERS: Final = f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}$"


def check_password(password: str, about: Iterable[str] = ()) -> str:
    """The password itself. Raises WeakPassword with what to change.

    `about`: what is known of whose it is; address and name are tried first.
    """
    if len(password) < SHORTEST:
        raise WeakPassword(f"Use at least {SHORTEST} characters. A few words in a row are good.")
    if len(password) > LONGEST:
        raise WeakPassword(f"Use at most {LONGEST} characters.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in password):
        raise WeakPassword("Use characters that can be typed: letters, digits, signs, blanks.")
    if _is_pattern(password):
        raise WeakPassword("This only repeats or counts. A few words in a row are good.")
    if _is_common(password.lower()):
        raise WeakPassword("This is one of the passwords that are tried first. Use another one.")
    if len(_without(password.lower(), _words([*about, *_OURS]))) < _WORTH:
        raise WeakPassword("Leave your name, your address and our name out of it.")
    return password


def hash_password(password: str) -> str:
    """As a PHC string. Some 50 ms of CPU and 19 MiB: never in an event loop."""
    return _argon2id(os.urandom(_SALT_BYTES)).derive_phc_encoded(_bytes(password))


def is_password(password: str, stored: str) -> bool:
    """Whether this is the one. As long as hashing, whatever the answer."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password), stored)
    except InvalidKey:
        return False
    return True


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return not stored.startswith(_PARAMETERS)


@cache
def nobodys() -> str:
    """The hash of a password that nobody has: compared with where there is no account."""
    return hash_password(os.urandom(_HASH_BYTES).hex())


def _argon2id(salt: bytes) -> Argon2id:
    return Argon2id(
        salt=salt,
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )


def _bytes(password: str) -> bytes:
    """The same for all ways in which keyboards write one character (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _is_pattern(password: str) -> bool:
    unit = (password * 2).find(password, 1)
    steps = {ord(after) - ord(before) for before, after in pairwise(password)}
    return unit <= _LONGEST_UNIT or len(steps) == 1


def _is_common(password: str) -> bool:
    """On the list; or one of its entries, perhaps with digits for letters, and some around it."""
    core = password.strip(_AROUND)
    return not _common_passwords().isdisjoint({password, core, core.translate(_LETTERS)})


def _words(texts: Iterable[str]) -> list[str]:
    parts = (part for text in texts for part in text.lower().replace("@", " ").split())
    return sorted({part for part in parts if len(part) >= _SHORTEST_WORD}, key=len, reverse=True)


def _without(password: str, words: Iterable[str]) -> str:
    for word in words:
        password = password.replace(word, "")
    return password


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="utf-8").split("\n")) - {""}
