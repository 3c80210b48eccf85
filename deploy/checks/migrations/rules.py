"""What a migration may not do: which of squawk's rules hold here, and what squawk does not know."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.checks.migrations.rendering import ROOT, Revision

REMOVES: Final = frozenset(
    {
        "ban-drop-column",
        "ban-drop-constraint",
        "ban-drop-default",
        "ban-drop-function",
        "ban-drop-not-null",
        "ban-drop-table",
        "ban-drop-view",
        "takes-a-right",
    }
)
"""Rules that a migration with a CONTRACT may break: it takes away what nobody uses any more."""

BREAKS: Final = REMOVES | {
    "adding-required-field",
    "ban-set-schema",
    "ban-truncate-cascade",
    "changing-column-type",
    "renaming-column",
    "renaming-object",
    "renaming-table",
}
"""The version before would meet a schema that it does not know."""

LOCKS: Final = frozenset(
    {
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "adding-serial-primary-key-field",
        "ban-concurrent-index-creation-in-transaction",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "require-concurrent-reindex",
        "require-lock-timeout",
    }
)
"""Everybody would wait while a large table is read or written anew."""

SQUAWK: Final = BREAKS | LOCKS
"""Its others are about taste (types, IF NOT EXISTS): our migrations run in a transaction."""

_BODY: Final = re.compile(r"\bAS\s+(\$\w*\$).*?\1", re.DOTALL | re.IGNORECASE)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME: Final = r"(?:IF (?:NOT )?EXISTS )?\"?([\w.]+)\"?"
_MADE: Final = re.compile(rf"\bCREATE (?:\w+ )*?(?:TABLE|FUNCTION|VIEW) {_NAME}", re.IGNORECASE)
_FUNCTION: Final = re.compile(rf"\bCREATE (OR REPLACE )?FUNCTION {_NAME}", re.IGNORECASE)
_DROPPED: Final = re.compile(rf"\bDROP (?:TABLE|FUNCTION|VIEW) {_NAME}", re.IGNORECASE)
_ROWS: Final = re.compile(
    rf"^\s*(?:UPDATE|DELETE FROM|TRUNCATE(?: TABLE)?|LOCK(?: TABLE)?|CLUSTER|VACUUM FULL) {_NAME}",
    re.IGNORECASE | re.MULTILINE,
)
_REVOKE: Final = re.compile(r"\bREVOKE\b([^;]*?)\bON\b([^;]*?)\bFROM\b", re.IGNORECASE)
_TIMEOUT: Final = re.compile(r"\bSET (?:LOCAL |SESSION )?lock_timeout", re.IGNORECASE)
_VERSIONED: Final = re.compile(r"_v\d+$")
_CODE: Final = ("libs", "services", "deploy")


class Offence(msgspec.Struct, frozen=True):
    """What a migration does and may not."""

    revision: str
    rule: str
    text: str


def plain(sql: str) -> str:
    """Without comments and without bodies of functions; what a DO block does is left in."""
    return _BODY.sub("AS BODY", _COMMENT.sub("", sql))


def replaces_a_function(revision: Revision, older: Sequence[Revision]) -> Iterator[str]:
    """The version before calls it by its name: another behaviour is another name, `_v2`."""
    known = {name for one in older for _, name in _FUNCTION.findall(plain(one.sql))}
    for replaced, name in _FUNCTION.findall(plain(revision.sql)):
        if replaced or name in known:
            yield f"{name} is there already: make the next _vN of it"
        elif not _VERSIONED.search(name):
            yield f"{name} ends in no _vN"


def touches_rows(revision: Revision, _: Sequence[Revision]) -> Iterator[str]:
    """All rows of a table in one transaction: let the code do it, in batches."""
    made = set(_MADE.findall(plain(revision.sql)))
    for name in _ROWS.findall(plain(revision.sql)):
        if name not in made:
            yield f"{name} was there before this migration"


def takes_a_right(revision: Revision, _: Sequence[Revision]) -> Iterator[str]:
    """The version before may need it."""
    made = set(_MADE.findall(plain(revision.sql)))
    for _rights, objects in _REVOKE.findall(plain(revision.sql)):
        named = set(re.findall(r"[\w.]+(?=\s*\(|\s*,|\s*$)", re.sub(r"\(.*?\)", "()", objects)))
        if not named or named - made:
            yield f"of{objects.rstrip()}"


def lifts_the_lock_timeout(revision: Revision, _: Sequence[Revision]) -> Iterator[str]:
    """Who waits for a lock makes everybody behind wait. Only CONCURRENTLY may take its time."""
    own = plain(revision.sql).split(";", 1)[1]
    if _TIMEOUT.search(own) and " CONCURRENTLY " not in own:
        yield "upgrade() sets it"


def is_still_used(revision: Revision, _: Sequence[Revision]) -> Iterator[str]:
    """What goes is named by the code of this very version."""
    for name in _DROPPED.findall(plain(revision.sql)):
        users = [path for path, text in _code().items() if re.search(rf"\b{name}\b", text)]
        if users:
            yield f"{name}: {users[0]}"


def has_no_such_contract(revision: Revision, older: Sequence[Revision]) -> Iterator[str]:
    """It must name an older migration: the one whose code stopped using what goes."""
    mine = [one.id for one in older if one.database == revision.database]
    if revision.contract is not None and revision.contract not in mine:
        yield f"CONTRACT names {revision.contract!r}, which is no older migration"


Rule = Callable[[Revision, Sequence[Revision]], Iterator[str]]
OWN: Final[Mapping[str, Rule]] = {
    "replaces-a-function": replaces_a_function,
    "touches-rows": touches_rows,
    "takes-a-right": takes_a_right,
    "lifts-the-lock-timeout": lifts_the_lock_timeout,
    "is-still-used": is_still_used,
    "has-no-such-contract": has_no_such_contract,
}


def own_offences(revision: Revision, older: Sequence[Revision]) -> list[Offence]:
    """By our own rules; `older`: of the same database, all of them."""
    return [
        Offence(revision.name, name, text)
        for name, rule in OWN.items()
        for text in rule(revision, older)
    ]


def _code() -> dict[str, str]:
    """All code but migrations, by its path."""
    paths = (path for folder in _CODE for path in (ROOT / folder).rglob("*.py"))
    return {_name(path): path.read_text() for path in paths if "migrations" not in path.parts}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
