"""A run's own folder, and everything that runs in it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.provider.pair import Providers, providers
from bench.system import System
from deploy.local.programs import ProgramFailed
from deploy.local.stack import Options, Stack


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for one run. Nothing is left of it, unless a program failed: then its logs."""
    folder = Path(tempfile.mkdtemp(prefix="reqrun-bench-"))
    # The servers' own accounts pass through it; what is secret in it has its own mode.
    folder.chmod(0o711)
    is_kept = False
    try:
        yield folder
    except ProgramFailed:
        is_kept = True
        raise
    finally:
        _forget_data(folder)
        if not is_kept:
            shutil.rmtree(folder)


@contextmanager
def running(folder: Path, slow_seconds: float = 0.05) -> Iterator[tuple[System, Providers]]:
    """Start the providers and the whole system between them; they end with the block."""
    with providers(folder, slow_seconds) as all_of_them:
        stack = Stack(folder, Options(settings={"OPEN_HOSTS": "127.0.0.1"}))
        try:
            stack.start()
            system = System(stack, all_of_them)
            try:
                yield system, all_of_them
            finally:
                system.ledger.close()
        finally:
            stack.stop()


def _forget_data(folder: Path) -> None:
    """The servers' data may lie elsewhere, with a link to it."""
    for link in list(folder.rglob("data")):
        shutil.rmtree(link.resolve(), ignore_errors=True)
    for link in folder.glob("nginx*"):
        shutil.rmtree(link.resolve(), ignore_errors=True)
