import subprocess
import sys

from bench.soak.run import end_load


def test_a_load_that_is_given_up_is_ended_and_nothing_else_is() -> None:
    waiting = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with (
        subprocess.Popen((*waiting, "bench.generator"), stdin=subprocess.PIPE) as load,  # noqa: S603  ours
        subprocess.Popen(waiting, stdin=subprocess.PIPE) as other,  # noqa: S603  ours
    ):
        end_load()

        assert load.wait(10) != 0
        assert other.poll() is None
        other.kill()
