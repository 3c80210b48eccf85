"""`python -m services.billing web | worker | migrate | <operator's command>`."""

import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any, Final

from libs.common import crash_points, logs, runtime, telemetry
from libs.common.commands import render
from libs.common.errors import AppError
from libs.common.settings import SettingsError, load
from services.billing import app
from services.billing.api import commands
from services.billing.settings import MigrationSettings, Settings

ROLES: Final = {"web": app.run_web, "worker": app.run_worker}
PROCESSES: Final = {"web": app.NAME, "worker": f"{app.NAME}-worker"}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run what `arguments` name; the process's exit code."""
    try:
        crash_points.arm(environ)
        if arguments[:1] == ["migrate"]:
            logs.configure(app.NAME)
            app.migrate(load(MigrationSettings, environ).migration_url)
            return 0
        if arguments and arguments[0] in ROLES:
            settings = load(Settings, environ)
            telemetry.start(app.NAME, PROCESSES[arguments[0]], settings)
            return runtime.start(lambda: ROLES[arguments[0]](settings))
        return _command(arguments, environ)
    except (SettingsError, AppError) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1


def _command(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    logs.configure(app.NAME, "critical")  # standard output belongs to the answer
    given = commands.parser().parse_args(arguments)
    sys.stdout.write(render(answer(given, environ), is_json=given.json))
    return 0


def answer(given: Namespace, environ: Mapping[str, str]) -> Any:
    """What an operator's command answers, as data; `reqrun` asks here too.

    Raises SettingsError, AppError.
    """
    return app.run_command(load(Settings, environ), given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
