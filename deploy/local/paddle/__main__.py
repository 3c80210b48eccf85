"""`python -m deploy.local.paddle`: sell, and tell billing of it, until a signal."""

import os
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import msgspec

from deploy.local.paddle import server
from deploy.local.paddle.posting import Poster
from deploy.local.paddle.shop import Shop
from deploy.local.paddle.store import Store
from libs.common import logs, runtime
from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret, load
from libs.common.web import app as web_app
from libs.common.web import health


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`paddle_folder`: where what was bought is. The others as billing's of the same names.

    `paddle_webhook_url`: billing's door for webhooks. `paddle_public_url`: where people find its
    pages, if not at host and port. `paddle_names`: under which others call it, besides this
    machine's own.
    """

    paddle_folder: str
    paddle_api_key: Secret
    paddle_webhook_secret: Secret
    paddle_webhook_url: str
    paddle_prices: dict[str, PlanName]
    paddle_public_url: str = ""
    paddle_names: tuple[str, ...] = ()
    port: int
    internal_port: int
    host: str = "127.0.0.1"
    env: str = "local"
    log_level: str = "info"


async def _run(settings: Settings, store: Store) -> None:
    pages = settings.paddle_public_url or f"http://{settings.host}:{settings.port}"
    shop = Shop.open(store, settings.paddle_prices, pages)
    app = server.create(shop, settings.paddle_api_key, settings.port, settings.paddle_names)

    async def is_ready() -> bool:
        return True

    internal = web_app.create(health.routes(is_ready))
    async with httpx2.AsyncClient() as client:
        poster = Poster(store, client, settings.paddle_webhook_url, settings.paddle_webhook_secret)
        await runtime.run(
            poster.run,
            web_app.serve(app, settings.host, settings.port),
            web_app.serve(internal, settings.host, settings.internal_port),
        )


def main() -> int:
    """The process's exit code."""
    settings = load(Settings, os.environ)
    logs.configure("paddle", settings.log_level)
    folder = Path(settings.paddle_folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(Store(folder / "paddle.sqlite")) as store:
        return runtime.start(lambda: _run(settings, store))


if __name__ == "__main__":
    sys.exit(main())
