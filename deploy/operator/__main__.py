"""`reqrun …`, or `python -m deploy.operator …`: one command, one answer, one exit code."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deploy.keys.folder import KeysRefused
from deploy.operator import installation, pictures, table
from deploy.operator.desk import Desk
from deploy.operator.screen import Screen
from libs.common import logs
from libs.common.clock import SystemClock
from libs.common.errors import AppError
from libs.common.settings import SettingsError

FINE: Final = 0
WRONG: Final = 1


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Answer one command. argparse ends the process with 2 where the command line is wrong."""
    given = table.parser().parse_args(arguments)
    logs.configure("operator", "critical")  # standard output belongs to the answer
    screen = Screen(pictures.of, is_json=given.json)
    try:
        answer = table.answer(Desk(installation.find(environ), screen, SystemClock()), given)
    except (AppError, SettingsError, KeysRefused) as refused:
        screen.refuse(_code(refused), str(refused))
        return WRONG
    except KeyboardInterrupt:
        screen.refuse("interrupted", "Broken off.")
        return WRONG
    screen.show(answer)
    return FINE if is_good(answer) else WRONG


def is_good(answer: Any) -> bool:
    """Whether the process may end with 0: an answer that can be bad says so itself."""
    return bool(getattr(answer, "is_good", True))


def _code(refused: Exception) -> str:
    if isinstance(refused, AppError):
        return refused.code
    return "settings" if isinstance(refused, SettingsError) else "keys_refused"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
