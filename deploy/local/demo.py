"""The demo accounts, the first request, and `demo.env`."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import msgspec

from deploy.local import places
from deploy.local.programs import ProgramFailed
from deploy.local.stack import Stack

OPENAI_URL = "https://api.openai.com/v1"
FIRST_REQUEST = {
    "model": "sim-ok",
    "messages": [{"role": "user", "content": "Hello"}],
    "wait": True,
}
_SECONDS = 60.0
_LOOK_SECONDS = 0.25


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What the seeding command of accounts prints, as far as it is used here."""

    test_key: str
    live_key: str
    drop_in_key: str
    signed_key: str
    signing_secret: str
    free_key: str
    provider_url: str


class Provider(msgspec.Struct, frozen=True):
    """Where the demo's live keys lead."""

    url: str
    key: str

    @property
    def digest(self) -> str:
        """Tells whether it changed, without keeping the key."""
        return hashlib.sha256(f"{self.url} {self.key}".encode()).hexdigest()


class Seeded(msgspec.Struct, frozen=True):
    """What `demo.json` keeps: the keys cannot be asked for again."""

    demo: Demo
    provider_digest: str
    is_simulated: bool


def chosen_provider(environ: Mapping[str, str]) -> Provider | None:
    """The provider that the caller's OPENAI_ variables name, if they do."""
    key = environ.get("OPENAI_API_KEY", "")
    return Provider(environ.get("OPENAI_BASE_URL") or OPENAI_URL, key) if key else None


def seeded(folder: Path) -> Seeded | None:
    """What an earlier start made; None also where an older version made it, without all keys."""
    file = folder / "demo.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Seeded) if file.exists() else None
    except msgspec.ValidationError:
        return None


def open_hosts(folder: Path, chosen: Provider | None) -> dict[str, str]:
    """The setting that lets a provider the caller named have a private address, or no TLS."""
    before = seeded(folder)
    url = chosen.url if chosen else before.demo.provider_url if before else ""
    is_ours = chosen is None and before is not None and before.is_simulated
    host = urlsplit(url).hostname
    return {"OPEN_HOSTS": f"127.0.0.1,{host}"} if host and url != OPENAI_URL and not is_ours else {}


def seed(stack: Stack, chosen: Provider | None) -> Demo:
    """The demo accounts and their keys; new keys only the first time or for another provider."""
    before = seeded(stack.site.folder)
    provider = chosen or Provider(f"{stack.url('simulator')}/v1", "simulated")
    is_real = before is not None and not before.is_simulated
    is_same = before is not None and before.provider_digest == provider.digest
    if before is not None and (is_same or (chosen is None and is_real)):
        return before.demo
    settings = {
        "REQRUN_DEMO_PROVIDER_URL": provider.url,
        "REQRUN_DEMO_PROVIDER_KEY": provider.key,
    }
    demo = msgspec.json.decode(stack.seed(settings), type=Demo)
    kept = msgspec.json.encode(Seeded(demo, provider.digest, chosen is None))
    places.write_private(stack.site.folder / "demo.json", kept.decode())
    return demo


def is_simulated(stack: Stack, demo: Demo) -> bool:
    """Whether live keys lead to the simulator."""
    return demo.provider_url == f"{stack.url('simulator')}/v1"


def first_request(stack: Stack, demo: Demo) -> Mapping[str, Any]:
    """Send a real request until it is answered; the completion, or ProgramFailed."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return _send(stack.base_url, demo.test_key)
        except (URLError, OSError, ValueError) as failure:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"no request went through: {failure}") from None
        time.sleep(_LOOK_SECONDS)


def write_environment(stack: Stack, demo: Demo) -> Path:
    """Write `demo.env`, which a shell or a program can read; only its owner can."""
    values = {
        "REQRUN_BASE_URL": stack.base_url,
        "REQRUN_API_KEY": demo.test_key,
        "REQRUN_LIVE_API_KEY": demo.live_key,
        "REQRUN_DROP_IN_API_KEY": demo.drop_in_key,
        "REQRUN_SIGNED_API_KEY": demo.signed_key,
        "REQRUN_SIGNING_SECRET": demo.signing_secret,
        "REQRUN_FREE_API_KEY": demo.free_key,
        "REQRUN_BILLING_URL": stack.url("billing"),
        "REQRUN_PADDLE_URL": stack.url("paddle"),
        "REQRUN_PADDLE_API_KEY": stack.site.keys.paddle["api_key"],
        "REQRUN_PADDLE_WEBHOOK_SECRET": stack.site.keys.paddle["webhook_secret"],
        "REQRUN_DASHBOARD_URL": stack.url("accounts"),
        "REQRUN_MAIL_URL": stack.url("mail"),
        "REQRUN_SIMULATOR_URL": f"{stack.url('simulator')}/v1",
        "REQRUN_POSTGRESQL_URL": stack.postgresql.url,
        "REQRUN_RABBITMQ_URL": stack.rabbitmq.url,
        "REQRUN_REDIS_URL": stack.redis.url,
    }
    file = stack.site.folder / "demo.env"
    places.write_private(file, "".join(f"{name}={value}\n" for name, value in values.items()))
    return file


def _send(base_url: str, key: str) -> Mapping[str, Any]:
    request = Request(  # noqa: S310  http, our own address
        f"{base_url}/v1/chat/completions",
        data=json.dumps(FIRST_REQUEST).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:  # noqa: S310  as above
        completion: dict[str, Any] = json.load(answer)
    if completion.get("object") != "chat.completion":
        raise ValueError(f"it is still {completion.get('status', 'unknown')}")
    return completion
