"""The demo of the compose stack: accounts and keys, a first request, how to go on."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import msgspec

from deploy.keys.folder import write
from deploy.local.demo import FIRST_REQUEST, OPENAI_URL, Demo, Provider

FOLDER: Final = "REQRUN_DEMO_FOLDER"
GATEWAY: Final = "REQRUN_SITE_GATEWAY_URL"
SIMULATOR: Final = "REQRUN_SIMULATOR_URL"

# Where the ports are published (docker-compose.yml).
API: Final = "http://127.0.0.1:8410"
DASHBOARD: Final = "http://127.0.0.1:8411"
MAILS: Final = "http://127.0.0.1:8025"
PADDLE: Final = "http://127.0.0.1:8413"

_SEED: Final = (sys.executable, "-m", "services.accounts", "seed-demo", "--again", "--json")
_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25

_SUMMARY: Final = """
ReqRun is up. A request went in, was kept, run and answered.

curl {api}/v1/chat/completions \\
  -H "Authorization: Bearer {demo.test_key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "sim-ok", "wait": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'

Live keys call {demo.provider_url}. With OPENAI_API_KEY set (and OPENAI_BASE_URL), new ones
call that provider.

Dashboard       {dashboard} (sign up there)
API             {api}
Mails to you    {mails}
Payments        {paddle} (a stand-in for Paddle: no money moves)
Live key        {demo.live_key}
For the SDK     {demo.drop_in_key}
Signed key      {demo.signed_key}
Its secret      {demo.signing_secret}
On plan Free    {demo.free_key}
Stop            docker compose down; with --volumes the data and all keys are forgotten as well
"""


class DemoFailed(Exception):
    """No demo could be made, or no request went through; the text says why."""


class Kept(msgspec.Struct, frozen=True):
    """What stays in the volume: keys cannot be asked for again."""

    demo: Demo
    provider_digest: str


def run(environ: Mapping[str, str]) -> None:
    """Seed the first time and for another provider, send a request, print. Raises DemoFailed."""
    provider = chosen_provider(environ)
    file = Path(environ[FOLDER]) / "demo.json"
    kept = msgspec.json.decode(file.read_bytes(), type=Kept) if file.exists() else None
    if kept is None or kept.provider_digest != provider.digest:
        kept = Kept(_seed(environ, provider), provider.digest)
        file.unlink(missing_ok=True)
        write(file, msgspec.json.encode(kept))
    first_request(environ[GATEWAY], kept.demo.test_key)
    sys.stdout.write(summary(kept.demo))


def chosen_provider(environ: Mapping[str, str]) -> Provider:
    """The one that OPENAI_ variables name, else the simulator."""
    key = environ.get("OPENAI_API_KEY", "")
    if key:
        return Provider(environ.get("OPENAI_BASE_URL") or OPENAI_URL, key)
    return Provider(environ[SIMULATOR], "simulated")


def summary(demo: Demo) -> str:
    """Everything needed to go on."""
    return _SUMMARY.format(api=API, dashboard=DASHBOARD, mails=MAILS, paddle=PADDLE, demo=demo)


def first_request(url: str, key: str) -> None:
    """Send a real request until it is answered; DemoFailed after a minute."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return _send(url, key)
        except (URLError, OSError, ValueError) as failure:
            if time.monotonic() > deadline:
                raise DemoFailed(f"no request went through: {failure}") from None
        time.sleep(_LOOK_SECONDS)


def _seed(environ: Mapping[str, str], provider: Provider) -> Demo:
    wishes = {
        "REQRUN_DEMO_PROVIDER_URL": provider.url,
        "REQRUN_DEMO_PROVIDER_KEY": provider.key,
    }
    done = subprocess.run(  # noqa: S603  the command is ours
        _SEED, env={**environ, **wishes}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoFailed(done.stderr.strip())
    return msgspec.json.decode(done.stdout, type=Demo)


def _send(url: str, key: str) -> None:
    request = Request(  # noqa: S310  http, our own address
        f"{url}/v1/chat/completions",
        data=json.dumps(FIRST_REQUEST).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:  # noqa: S310  as above
        completion = json.load(answer)
    if completion.get("object") != "chat.completion":
        raise ValueError(f"it is still {completion.get('status', 'unknown')}")
