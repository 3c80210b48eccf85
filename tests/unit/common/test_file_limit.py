import subprocess
import sys

import pytest

PROGRAM = """
import resource
from libs.common import runtime

async def main():
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))

runtime.FILES = {enough}
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise SystemExit(runtime.start(main))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "enough", "after"),
    [
        pytest.param(256, 4096, 65_536, "4096 4096", id="raised to what is allowed"),
        pytest.param(256, 4096, 1024, "1024 4096", id="raised to what is enough"),
        pytest.param(4096, 4096, 1024, "4096 4096", id="left where it is more"),
    ],
)
def test_a_process_asks_for_the_files_it_may_have(
    soft: int, hard: int, enough: int, after: str
) -> None:
    done = subprocess.run(  # noqa: S603  our own Python
        [sys.executable, "-c", PROGRAM.format(soft=soft, hard=hard, enough=enough)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == after
