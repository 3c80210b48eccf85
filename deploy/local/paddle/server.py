"""The stand-in as one web application."""

from collections.abc import Iterable
from typing import Any, Final

from deploy.local.paddle import api, pages
from deploy.local.paddle.faults import Faults
from deploy.local.paddle.shop import Shop
from libs.common.settings import Secret
from libs.common.web import app as web_app

# Names under which a browser on this machine comes here, so that no other site's name leads here.
_HOSTS: Final = ("127.0.0.1", "localhost")


def create(shop: Shop, key: Secret, port: int, names: Iterable[str] = ()) -> Any:
    """Its doors for machines (they need `key`) and for people, served on `port`.

    `names`: others than this machine's own, under which machines call it.
    """
    faults = Faults(None)
    hosts = [f"{host}:{port}" for host in (*_HOSTS, *names)]
    control = api.faults_control(faults)
    faults.app = web_app.create(
        [api.routes(shop, key, control), pages.routes(shop)], allowed_hosts=hosts
    )
    return faults
