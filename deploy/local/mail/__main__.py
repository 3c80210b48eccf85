"""`python -m deploy.local.mail`: catch mails, show them, until a signal."""

import os
import sys
from pathlib import Path

import msgspec

from deploy.local.mail import catcher, pages
from deploy.local.mail.store import Store
from libs.common import logs, runtime
from libs.common.settings import load
from libs.common.web import app as web_app
from libs.common.web import health


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`mail_folder`: where the mails are. `port`: of the pages."""

    mail_folder: str
    port: int
    smtp_port: int
    internal_port: int
    host: str = "127.0.0.1"
    env: str = "local"
    log_level: str = "info"


async def _run(settings: Settings) -> None:
    store = Store(Path(settings.mail_folder))

    async def is_ready() -> bool:
        return True

    await runtime.run(
        catcher.serve(store, settings.host, settings.smtp_port),
        web_app.serve(pages.create(store, settings.port), settings.host, settings.port),
        web_app.serve(
            web_app.create(health.routes(is_ready)), settings.host, settings.internal_port
        ),
    )


def main() -> int:
    """The process's exit code."""
    settings = load(Settings, os.environ)
    logs.configure("mail", settings.log_level)
    return runtime.start(lambda: _run(settings))


if __name__ == "__main__":
    sys.exit(main())
