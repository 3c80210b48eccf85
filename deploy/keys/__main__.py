"""`python -m deploy.keys init | backup | check | rotate … | retire …`."""

import sys
from collections.abc import Sequence

from deploy.keys import commands
from deploy.keys.folder import KeysRefused
from libs.common.commands import render


def main(arguments: Sequence[str]) -> int:
    """Run one command; the process's exit code: 1 when something is wrong."""
    given = commands.parser().parse_args(arguments)
    try:
        answer = given.call(given)
    except KeysRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stdout.write(render(answer, is_json=given.json))
    return 0 if commands.is_good(answer) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
