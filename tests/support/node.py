"""Node for the tests of our JavaScript."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

CLIENT: Final = Path(__file__).parents[2] / "clients" / "js" / "reqrun.js"

_SIGN_LINES: Final = """
import { createInterface } from "node:readline";
const { sign } = await import(process.argv[1]);
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await sign(JSON.parse(line))));
}
"""


def program() -> str:
    """Where Node is. Without it, tests skip on a desk and fail where `CI` is set."""
    found = shutil.which("node")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Node is not installed")
    return found


class NodeSigner:
    """One process of Node that signs a line of JSON with a line of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def sign(self, wish: Mapping[str, Any]) -> dict[str, str]:
        """What `sign` of our module makes of `wish`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        made: dict[str, str] = json.loads(self._process.stdout.readline())
        return made


@contextmanager
def node_signer() -> Iterator[NodeSigner]:
    """It ends with the block."""
    command = [program(), "--input-type=module", "--eval", _SIGN_LINES, str(CLIENT)]
    with subprocess.Popen(  # noqa: S603  the command is ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield NodeSigner(process)
