"""Become one program of a list: `python -m deploy.local.launch <programs.json> <name>`.

The supervisor's own file can hold neither line breaks (keys in PEM) nor secrets that must stay in a
private file, so it starts this, which switches account and replaces itself with the program.
"""

import os
import pwd
import sys
from pathlib import Path

import msgspec

from deploy.local.programs import Program


def main(file: str, name: str) -> None:
    """Never returns. KeyError when the list has no such program."""
    programs = msgspec.json.decode(Path(file).read_bytes(), type=list[Program])
    program = {program.name: program for program in programs}[name]
    if program.account is not None:
        entry = pwd.getpwnam(program.account)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    os.chdir(program.folder)
    os.execve(program.command[0], program.command, dict(program.environment))  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
