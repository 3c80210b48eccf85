"""What README, quick start and guides tell a reader to type does what they say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.support.documents import PROGRAM_PAGES, ROOT, SHELL_PAGES, blocks_of
from tests.support.stack import System

SECONDS: Final = 120
HELLO: Final = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}]}

# What a page takes for granted. Its client goes to this machine, whatever address the page shows.
PRELUDE: Final = """
import os
from functools import partial

import httpx2
import reqrun as package
from openai import OpenAI

package.ReqRun = partial(package.ReqRun, base_url=os.environ["REQRUN_BASE_URL"])
from reqrun import ReqRun, ReqRunError, SigningAuth

api_key, signing_secret = os.environ["REQRUN_SIGNED_API_KEY"], os.environ["REQRUN_SIGNING_SECRET"]
reqrun = ReqRun(api_key, signing_secret)
messages = [{"role": "user", "content": "Hello"}]
request_id = reqrun.chat.completions.create(model=os.environ["MODEL"], messages=messages)["id"]
"""
PUBLIC: Final = "https://api.reqrun.com"

SEEN_IN_SHELL: Final = {
    "README.md": ('"object":"chat.completion"', '"object":"chat.completion.async"', '"number":1'),
    "docs/quickstart.md": (
        '"object":"chat.completion"',
        '"status":"completed","attempts":3',
        '"retry_rule":"retry-after-ms"',
        "x-reqrun-replayed:true",
    ),
}
SEEN_OF_PROGRAMS: Final = {
    "docs/guides/errors.md": ("400 invalid_body", "1 400 provider_rejected"),
    "docs/guides/stock-sdk.md": ("rr_",),
}


def variables(system: System) -> dict[str, str]:
    """As `demo.env` has them."""
    seeded = system.seeded
    return {
        "REQRUN_BASE_URL": system.gateways[0],
        "REQRUN_API_KEY": seeded.test_key,
        "REQRUN_LIVE_API_KEY": seeded.live_key,
        "REQRUN_DROP_IN_API_KEY": seeded.drop_in_key,
        "REQRUN_SIGNED_API_KEY": seeded.signed_key,
        "REQRUN_SIGNING_SECRET": seeded.signing_secret,
    }


@pytest.fixture
def folder(system: System, tmp_path: Path) -> Path:
    """A checkout in which `make up` was called, and has nothing more to do."""
    (tmp_path / ".reqrun").mkdir()
    lines = [f"{name}={value}\n" for name, value in variables(system).items()]
    (tmp_path / ".reqrun" / "demo.env").write_text("".join(lines))
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text("#!/bin/sh\nexit 0\n")
    make.chmod(0o755)
    return tmp_path


def run(typed: list[str], text: str, folder: Path, environment: dict[str, str]) -> str:
    """What it says, without blanks between JSON's parts; it must end well."""
    ended = subprocess.run(  # noqa: S603  what our own pages say
        typed,
        input=text,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def submitted(system: System) -> str:
    """The id of a request that somebody sent before."""
    answer = httpx2.post(
        f"{system.gateways[0]}/v1/chat/completions",
        json=HELLO,
        headers={"authorization": f"Bearer {system.seeded.test_key}"},
        timeout=SECONDS,
        trust_env=False,
    )
    return str(answer.json()["id"])


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_what_a_shell_is_told_works(page: str, system: System, folder: Path) -> None:
    """`rr_…` is where a reader puts the id that they have got."""
    request_id = submitted(system)
    path = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    texts = [block.text.replace("rr_…", request_id) for block in blocks_of(page, "sh")]

    said = "".join(run(["sh", "-e"], text, folder, path) for text in texts).replace(" ", "")

    assert '"error":{' not in said
    assert [seen for seen in SEEN_IN_SHELL[page] if seen not in said.lower()] == []


def test_a_repeat_in_the_quick_start_is_one_request(folder: Path) -> None:
    [text] = [
        block.text for block in blocks_of("docs/quickstart.md", "sh") if "order" in block.text
    ]

    said = run(["sh", "-e"], text, folder, {}).lower().splitlines()

    assert len({line for line in said if line.startswith("x-reqrun-request-id")}) == 1
    assert sum(line.startswith("x-reqrun-replayed: true") for line in said) >= 2


@pytest.mark.parametrize("page", PROGRAM_PAGES)
def test_a_program_works(page: str, system: System, tmp_path: Path) -> None:
    environment = variables(system) | {
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "MODEL": "sim-400" if page == "docs/guides/errors.md" else "sim-ok",
    }
    if page == "clients/python/README.md":  # its key is one that signs
        environment["REQRUN_API_KEY"] = system.seeded.signed_key
    texts = [block.text for block in blocks_of(page, "python")]
    program = "\n".join([PRELUDE, *texts]).replace(PUBLIC, system.gateways[0])

    said = run([sys.executable, "-"], program, tmp_path, environment)

    assert [seen for seen in SEEN_OF_PROGRAMS.get(page, ()) if seen not in said] == []
