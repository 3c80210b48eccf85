"""A peer that is a proxy: one program that speaks the provider's API."""

import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from bench.generator.job import Callers, Job, Says, Target
from bench.measured import Measured
from bench.measuring import measure
from bench.provider.completion import ANSWER, PATH, request_body
from bench.usage import Roots
from deploy.local.programs import Program, ProgramFailed, Running

READY_SECONDS = 180.0
_LOOK_SECONDS = 0.1
_CALLERS, _WARM_UP = 32, 300


class Proxy(Measured):
    """One that runs. `name`: as in the measurements."""

    def __init__(self, name: str, program: Program, port: int, headers: dict[str, str]) -> None:
        """Not started yet. `headers`: what a caller of it sends."""
        self.name = name
        self._process = Running(program)
        self.target = Target(
            port=port,
            path=PATH,
            body=request_body(is_waiting=None),
            headers=headers,
            expected=Says(ANSWER),
        )

    @property
    def parts(self) -> Roots:
        """See Measured."""
        process = self._process
        return {self.name: [process.pid] if process.is_running else []}

    def start(self) -> None:
        """Start it and wait until it answers HTTP; ProgramFailed when it does not."""
        self._process.start()
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if not self._process.is_running or time.monotonic() > deadline:
                raise ProgramFailed(f"{self.name} did not start: {self._last_line()}")
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """End it. Harmless when it does not run."""
        self._process.stop()

    def check(self) -> None:
        """ProgramFailed when it has ended."""
        if not self._process.is_running:
            raise ProgramFailed(f"{self.name} has ended: {self._last_line()}")

    def warm_up(self) -> None:
        """Its first answers take seconds; they are nobody's figure. ProgramFailed."""
        measure(self, Job(target=self.target, load=Callers(_CALLERS, count=_WARM_UP)))

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.target.port}/", timeout=5):
                return True
        except HTTPError:
            return True  # it speaks HTTP
        except (URLError, OSError):
            return False

    def _last_line(self) -> str:
        lines = Path(self._process.program.log).read_text(errors="replace").split("\n")
        words = (line.strip() for line in reversed(lines) if any(map(str.isalpha, line)))
        return next(words, "it said nothing")
