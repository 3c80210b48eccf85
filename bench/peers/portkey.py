"""Portkey's gateway, one Node process, as its package starts it."""

import os
import shutil
from pathlib import Path

from bench.peers import environments
from bench.peers.proxy import Proxy
from bench.plan import PORTKEY
from deploy.local.ports import free_ports
from deploy.local.programs import Program

_SERVER = "@portkey-ai/gateway/build/start-server.js"


def make(folder: Path, provider_url: str) -> Proxy:
    """Not started yet. Raises NotInstalled."""
    node = shutil.which("node")
    if node is None:
        raise environments.NotInstalled("Node is not installed")
    port = free_ports()
    modules = environments.node("portkey")
    program = Program(
        name="portkey",
        command=(node, str(modules / _SERVER), f"--port={port}", "--headless"),
        environment={"PATH": os.defpath, "HOME": str(folder), "NODE_ENV": "production"},
        folder=str(folder),
        log=str(folder / "portkey.log"),
    )
    headers = {
        "Authorization": "Bearer bench",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": provider_url,
    }
    return Proxy(PORTKEY, program, port, headers)
