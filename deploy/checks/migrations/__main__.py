"""`python -m deploy.checks.migrations`: see the package. Ends with 1 on any offence, or blind."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.checks.migrations.rendering import CannotRender, Revision, render
from deploy.checks.migrations.rules import REMOVES, SQUAWK, Offence, own_offences

BASELINE: Final[Mapping[str, str]] = {"requests": "0003", "accounts": "0008", "billing": "0004"}
"""The last revisions that are not held to this: they ran before there was anything to break."""

POSTGRESQL: Final = "15"
"""The oldest that is supported."""

PLANTED: Final = Revision(
    database="planted",
    id="0000",
    sql="SET LOCAL lock_timeout = '5s';\nDROP TABLE t;\nCREATE INDEX i ON u (v);\n",
)
SEEN: Final = frozenset({"ban-drop-table", "require-concurrent-index-creation"})
_SECONDS: Final = 60


class _Finding(msgspec.Struct):
    """One of squawk's, of its JSON. `line` counts from 0."""

    file: str
    line: int
    rule_name: str
    message: str


def squawk(revisions: Sequence[Revision]) -> list[Offence]:
    """What squawk says of them, by the rules that hold here."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{revision.name}.sql" for revision in revisions]
        for file, revision in zip(files, revisions, strict=True):
            file.write_text(revision.sql)
        options = ["--reporter", "json", "--pg-version", POSTGRESQL, "--assume-in-transaction"]
        command = [str(Path(sys.executable).parent / "squawk"), *options, *map(str, files)]
        done = subprocess.run(  # noqa: S603  the command is ours
            command, capture_output=True, timeout=_SECONDS, check=False
        )
    return [
        Offence(Path(one.file).stem, one.rule_name, f"line {one.line + 1}: {one.message}")
        for one in msgspec.json.decode(done.stdout or b"[]", type=list[_Finding])
        if one.rule_name in SQUAWK
    ]


def offences(revisions: Sequence[Revision], baseline: Mapping[str, str]) -> list[Offence]:
    """Of all that are newer than their database's baseline, and of PLANTED."""
    fresh = newer(revisions, baseline)
    found = squawk([*fresh, PLANTED])
    for revision in fresh:
        mine = [one for one in revisions if one.database == revision.database]
        found += own_offences(revision, mine[: mine.index(revision)])
    contracts = {revision.name for revision in fresh if revision.contract is not None}
    return [one for one in found if one.revision not in contracts or one.rule not in REMOVES]


def newer(revisions: Sequence[Revision], baseline: Mapping[str, str]) -> list[Revision]:
    """Those that are checked."""
    return [one for one in revisions if one.id > baseline[one.database]]


def verdict(checked: Sequence[Revision], found: Sequence[Offence]) -> tuple[bool, str]:
    """Whether `make check` may go on, and what to say."""
    if not checked:
        return False, "no migration is newer than its baseline: NOTHING WAS CHECKED"
    if not {one.rule for one in found if one.revision == PLANTED.name} >= SEEN:
        return False, "squawk does not see a planted offence: NOTHING WAS CHECKED"
    mine = [one for one in found if one.revision != PLANTED.name]
    lines = [f"{one.revision} {one.rule}: {one.text}" for one in mine]
    return not mine, "\n".join(lines) or f"{len(checked)} migrations break nothing and lock nobody"


def main() -> int:
    """Check; the process's exit code."""
    try:
        revisions = render()
        may_go_on, text = verdict(newer(revisions, BASELINE), offences(revisions, BASELINE))
    except (CannotRender, OSError) as failure:
        may_go_on, text = False, f"{failure}: NOTHING WAS CHECKED"
    sys.stdout.write(f"{text}\n")
    return 0 if may_go_on else 1


if __name__ == "__main__":
    sys.exit(main())
