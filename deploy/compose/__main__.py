"""`python -m deploy.compose prepare | demo`: the two one-shots of docker-compose.yml."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from deploy.compose import demo, prepare
from deploy.keys.folder import KeysRefused
from deploy.secrets.rendering import Missing

COMMANDS: Final[Mapping[str, Callable[[Mapping[str, str]], None]]] = {
    "prepare": prepare.run,
    "demo": demo.run,
}


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run one; the process's exit code."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m deploy.compose {' | '.join(COMMANDS)}\n")
        return 2
    try:
        COMMANDS[arguments[0]](environ)
    except (Missing, KeysRefused, demo.DemoFailed) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
