"""`python -m services.accounts web | worker | migrate | <operator's command>`."""

import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from getpass import getpass
from typing import Any, Final

import msgspec

from libs.common import crash_points, logs, runtime, telemetry
from libs.common.commands import render
from libs.common.errors import AppError
from libs.common.settings import Secret, SettingsError, load
from services.accounts import app
from services.accounts.api import commands, support_commands
from services.accounts.settings import MigrationSettings, Settings

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
        return _command(commands.parser().parse_args(arguments), environ)
    except (SettingsError, AppError) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1


def _command(given: Namespace, environ: Mapping[str, str]) -> int:
    logs.configure(app.NAME, "critical")  # standard output belongs to the answer
    sys.stdout.write(render(answer(given, environ), is_json=given.json))
    return 0


def answer(given: Namespace, environ: Mapping[str, str]) -> Any:
    """What an operator's command answers, as data; `reqrun` asks here too.

    Raises SettingsError, AppError.
    """
    inputs = load(commands.Inputs, environ)
    if given.call is commands.set_connection and not inputs.provider_key.reveal():
        inputs = msgspec.structs.replace(inputs, provider_key=_ask_for_key())
    if given.call is support_commands.reply and given.text is None:
        given.text = _ask_for_text()
    return app.run_command(load(Settings, environ), given, inputs)


def _ask_for_key() -> Secret:
    is_person = sys.stdin.isatty()
    return Secret(getpass("Provider key: ") if is_person else sys.stdin.readline().strip())


def _ask_for_text() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("Write the answer; end it with Ctrl-D on a line of its own.\n")
    return sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
