"""`python -m services.gateway web | migrate | openapi`."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common import crash_points, logs, runtime, telemetry
from libs.common.settings import SettingsError, load
from libs.ledger import migrations
from services.gateway.api import openapi
from services.gateway.app import SERVICE, open_gateway
from services.gateway.settings import MigrationSettings, Settings

_USAGE: Final = "usage: python -m services.gateway web | migrate | openapi\n"


async def serve(settings: Settings) -> None:
    """Answer until a signal."""
    async with open_gateway(settings) as loops:
        await runtime.run(*loops)


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """The process's exit code."""
    try:
        crash_points.arm(environ)
        match arguments:
            case ["web"]:
                settings = load(Settings, environ)
                telemetry.start(SERVICE, SERVICE, settings)
                return runtime.start(lambda: serve(settings))
            case ["migrate"]:
                logs.configure(SERVICE)
                url = load(MigrationSettings, environ).migration_url
                asyncio.run(migrations.upgrade(url.reveal()))
                return 0
            case ["openapi"]:
                sys.stdout.write(msgspec.json.format(openapi.DOCUMENT, indent=2).decode() + "\n")
                return 0
    except SettingsError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stderr.write(_USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
