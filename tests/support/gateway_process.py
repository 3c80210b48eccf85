"""A gateway as the process that runs in production, against what a test has started."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from libs.common.settings import Secret
from services.gateway.settings import Settings

ROOT = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """What an operator would set."""
    values = msgspec.structs.asdict(settings)
    texts = {
        name: value.reveal() if isinstance(value, Secret) else _text(value)
        for name, value in values.items()
        if name not in {"body_timeout", "wait", "drop_in_wait", "trusted_proxies", "head_timeout"}
    }
    ours = {f"REQRUN_{name.upper()}": text for name, text in texts.items()}
    return {"PATH": os.environ["PATH"], "REQRUN_WAIT": "20", **ours}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value)


@asynccontextmanager
async def running(settings: Settings, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.gateway", *arguments),
        cwd=ROOT,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
