"""`python -m services.executor worker | dispatcher | simulator`."""

import os
import sys
from pathlib import Path
from typing import Final

from libs.common import crash_points, runtime, telemetry
from libs.common.settings import load
from libs.common.web import health
from libs.common.web.app import create as create_internal
from libs.common.web.app import serve
from services.executor.app import SERVICE, open_dispatcher, open_worker
from services.executor.settings import DispatcherSettings, Settings, SimulatorSettings
from services.executor.simulator.app import create

_USAGE: Final = "usage: python -m services.executor worker | dispatcher | simulator"


async def work() -> None:
    """Run attempts."""
    crash_points.arm(os.environ)
    settings = load(Settings, os.environ)
    telemetry.start(SERVICE, SERVICE, settings)
    async with open_worker(settings) as loops:
        await runtime.run(*loops)


async def dispatch() -> None:
    """Turn due rows into hints, and relay the outbox."""
    crash_points.arm(os.environ)
    settings = load(DispatcherSettings, os.environ)
    telemetry.start("dispatcher", "dispatcher", settings)
    async with open_dispatcher(settings) as loops:
        await runtime.run(*loops)


async def simulate() -> None:
    """Serve the test-mode provider."""
    settings = load(SimulatorSettings, os.environ)
    telemetry.start("simulator", "simulator", settings)
    call_log = Path(settings.call_log) if settings.call_log else None
    app = create(has_controls=settings.has_controls, call_log=call_log)
    await runtime.run(
        serve(app, settings.host, settings.port),
        serve(create_internal(health.routes(_always)), settings.host, settings.internal_port),
    )


async def _always() -> bool:
    """It depends on nothing."""
    return True


_ROLES: Final = {"worker": work, "dispatcher": dispatch, "simulator": simulate}


def main(arguments: list[str]) -> int:
    """The process's exit code."""
    role = _ROLES.get(arguments[0]) if len(arguments) == 1 else None
    if role is None:
        print(_USAGE, file=sys.stderr)  # noqa: T201  # this is a command line
        return 2
    return runtime.start(role)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
