"""One process of a service, as it runs in production, against the servers of a test."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from deploy.local.ports import free_ports
from deploy.local.programs import Program, Running

HTTP_OK = 200
ROOT = Path(__file__).resolve().parents[2]


class ServiceProcess:
    """`python -m services.<service> <role>` on a free internal port."""

    def __init__(self, service: str, role: str, settings: Mapping[str, str], folder: Path) -> None:
        """`settings`: without their prefix. `folder`: for the log."""
        port = free_ports()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"{service}-{role}.log"
        given = {"ENV": "local", "INTERNAL_PORT": str(port), **settings}
        self.process = Running(
            Program(
                name=f"{service} {role}",
                command=(sys.executable, "-m", f"services.{service}", role),
                environment={
                    "PATH": os.defpath,
                    "PYTHONUNBUFFERED": "1",
                    **{f"REQRUN_{name}": text for name, text in given.items()},
                },
                folder=str(ROOT),
                log=str(self.log),
            )
        )

    async def is_ready(self) -> bool:
        """Whether it says that it can work. AssertionError when it has ended."""
        return await self._is_good("/readyz")

    async def is_alive(self) -> bool:
        """Whether it answers at all. AssertionError when it has ended."""
        return await self._is_good("/healthz")

    async def _is_good(self, path: str) -> bool:
        assert self.process.is_running, self.log.read_text()
        async with httpx2.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(self.url + path)).status_code == HTTP_OK
            except httpx2.TransportError:
                return False


@contextmanager
def running(
    service: str, role: str, settings: Mapping[str, str], folder: Path
) -> Iterator[ServiceProcess]:
    """Started, not yet ready; asked to stop at the end."""
    made = ServiceProcess(service, role, settings, folder)
    made.process.start()
    try:
        yield made
    finally:
        made.process.stop()
