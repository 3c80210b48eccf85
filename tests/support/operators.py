"""An operator at the command line of accounts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from services.accounts.settings import Settings
from tests.support.environments import environment_of

ROOT: Final = Path(__file__).resolve().parents[2]
PROVIDER_KEY: Final = "sk-canary-0123456789abcdefWXYZ"


class Operator:
    """Runs commands in the environment of one installation."""

    def __init__(self, settings: Settings) -> None:
        self.environ = environment_of(settings)

    def run(
        self, *arguments: str, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  the command is ours
            [sys.executable, "-m", "services.accounts", *arguments],
            cwd=ROOT,
            env=self.environ | environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, *arguments: str, stdin: str = "", **environ: str) -> Any:
        done = self.run(*arguments, "--json", stdin=stdin, **environ)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def seed(self, *arguments: str) -> Any:
        return self.ask(
            "seed-demo",
            *arguments,
            REQRUN_DEMO_PROVIDER_URL="http://127.0.0.1:9999/v1",
            REQRUN_DEMO_PROVIDER_KEY=PROVIDER_KEY,
        )
