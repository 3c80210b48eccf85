"""`python -m deploy.local up | down | reset | status | logs`: the whole system on this machine."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping

from deploy.local import demo, display, places
from deploy.local.programs import ProgramFailed
from deploy.local.site import ROOT, Ports
from deploy.local.stack import Options, Stack
from deploy.local.supervision import Supervisor

FOLDER = ROOT / ".reqrun"
_PREFERRED_PORTS = {
    "gateway": 8410,
    "accounts": 8411,
    "billing": 8412,
    "paddle": 8413,
    "mail": 8025,
    "mail-smtp": 1025,
}


def up(environ: Mapping[str, str]) -> int:
    """Start what is not running, and come back when a request has gone through."""
    supervisor = Supervisor(FOLDER)
    if not supervisor.is_running:
        supervisor.end_orphans()
        Ports(FOLDER / "ports.json", _PREFERRED_PORTS).forget_taken()
    provider = demo.chosen_provider(environ)
    stack = _stack(supervisor, provider)
    if supervisor.is_running and not supervisor.has(stack.programs()):
        with display.step("Stopping what was started with other settings"):
            _stop(stack, supervisor)
    if not supervisor.is_running:
        supervisor.start(stack.programs())
    if stack.is_well():
        display.console.print("Everything is running.")
    else:
        stack.start(display.step)
    with display.step("Making the demo accounts"):
        made = demo.seed(stack, provider)
    with display.step("Sending a first request"):
        demo.first_request(stack, made)
    display.summary(stack, made, demo.write_environment(stack, made))
    return 0


def down(_: Mapping[str, str]) -> int:
    """Stop exactly what `up` started; the data stays."""
    supervisor = Supervisor(FOLDER)
    if not supervisor.is_running:
        supervisor.end_orphans()
        display.console.print("Nothing is running.")
        return 0
    with display.step("Stopping"):
        _stop(_stack(supervisor, None), supervisor)
    return 0


def reset(environ: Mapping[str, str]) -> int:
    """Stop, and forget all data, keys and logs."""
    down(environ)
    places.remove_server_folder(FOLDER / "data")
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    display.console.print("Everything local is forgotten.")
    return 0


def status(_: Mapping[str, str]) -> int:
    """Show servers and processes; 1 when something is not well."""
    supervisor = Supervisor(FOLDER)
    if not supervisor.is_running:
        display.console.print("Nothing is running. `make up` starts it.")
        return 1
    return 0 if display.status(_stack(supervisor, None)) else 1


def logs(_: Mapping[str, str]) -> int:
    """Show the logs as they grow, until interrupted."""
    files = sorted(str(file) for file in (FOLDER / "logs").glob("*.log"))
    tail = shutil.which("tail")
    if tail is not None and files:
        os.execv(tail, [tail, "-n", "20", "-F", *files])  # noqa: S606  reading our own files
    display.console.print("There are no logs yet.")
    return 1


COMMANDS: dict[str, Callable[[Mapping[str, str]], int]] = {
    "up": up,
    "down": down,
    "reset": reset,
    "status": status,
    "logs": logs,
}


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run one command; the process's exit code."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m deploy.local {' | '.join(COMMANDS)}\n")
        return 2
    try:
        return COMMANDS[arguments[0]](environ)
    except ProgramFailed as failure:
        display.console.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1


def _stack(supervisor: Supervisor, provider: demo.Provider | None) -> Stack:
    options = Options(
        settings=demo.open_hosts(FOLDER, provider),
        preferred_ports=_PREFERRED_PORTS,
    )
    return Stack(FOLDER, options, supervisor.run)


def _stop(stack: Stack, supervisor: Supervisor) -> None:
    stack.stop()
    supervisor.shut_down()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
