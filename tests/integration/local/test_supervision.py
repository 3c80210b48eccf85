"""Programs under the supervisor outlive their starter, come back to life, and stop for good."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.programs import Program, ProgramFailed
from deploy.local.site import MARK
from deploy.local.supervision import Supervisor

PROGRAM = """
import signal, sys, pathlib
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(repr(sys.argv[1]), flush=True)
signal.pause()
"""


def program(folder: Path, name: str) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-c", PROGRAM, "two\nlines and 100 %"),
        environment={"PATH": os.defpath, MARK: str(folder), "KEY": "first\nsecond"},
        folder=str(folder),
        log=str(folder / "logs" / f"{name}.log"),
    )


def prints(program: Program) -> int:
    """How often it came up; a signal before that may be lost between fork and exec."""
    log = Path(program.log)
    return log.read_text().count("lines") if log.exists() else 0


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never happened"


@pytest.fixture
def programs(tmp_path: Path) -> list[Program]:
    (tmp_path / "logs").mkdir()
    return [program(tmp_path, "one"), program(tmp_path, "two")]


@pytest.fixture
def supervisor(tmp_path: Path, programs: list[Program]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    made.start(programs)
    yield made
    if made.is_running:
        made.shut_down()
    made.end_orphans()


def test_nothing_runs_before_it_is_started(supervisor: Supervisor, programs: list[Program]) -> None:
    assert not supervisor.run(programs[0]).is_running
    with pytest.raises(ProgramFailed, match="not running"):
        _ = supervisor.run(programs[0]).pid


def test_a_program_gets_its_exact_arguments_and_environment(
    supervisor: Supervisor, programs: list[Program]
) -> None:
    one = supervisor.run(programs[0])
    one.start()
    one.start()
    wait_until(lambda: prints(one.program) == 1)
    assert Path(one.program.log).read_text() == "'two\\nlines and 100 %'\n"
    assert psutil.Process(one.pid).environ() == one.program.environment
    assert not supervisor.run(programs[1]).is_running


def test_a_killed_program_comes_back_and_a_stopped_one_does_not(
    supervisor: Supervisor, programs: list[Program]
) -> None:
    one = supervisor.run(programs[0])
    one.start()
    wait_until(lambda: prints(one.program) == 1)
    first = one.pid
    one.kill()
    wait_until(lambda: prints(one.program) == 2)
    assert one.pid != first
    process = psutil.Process(one.pid)
    one.stop()
    assert not process.is_running()
    assert not one.is_running
    one.stop()


def test_shutting_down_leaves_no_process(supervisor: Supervisor, programs: list[Program]) -> None:
    started = [supervisor.run(each) for each in programs]
    for each in started:
        each.start()
    wait_until(lambda: all(prints(each.program) for each in started))
    processes = [psutil.Process(each.pid) for each in started]
    supervisor.shut_down()
    assert not supervisor.is_running
    assert not any(process.is_running() for process in processes)


def test_what_a_killed_supervisor_leaves_behind_is_ended(
    supervisor: Supervisor, programs: list[Program]
) -> None:
    one = supervisor.run(programs[0])
    one.start()
    orphan = psutil.Process(one.pid)
    os.kill(int(supervisor.call("getPID")), signal.SIGKILL)
    wait_until(lambda: not supervisor.is_running)
    assert orphan.is_running()
    supervisor.end_orphans()
    assert not orphan.is_running()


def test_it_knows_whether_its_programs_changed(
    supervisor: Supervisor, programs: list[Program], tmp_path: Path
) -> None:
    assert supervisor.has(programs)
    assert not supervisor.has([*programs, program(tmp_path, "three")])


def test_a_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    (deep / "logs").mkdir(parents=True)
    supervisor = Supervisor(deep)
    supervisor.start([program(deep, "one")])
    assert supervisor.is_running
    supervisor.shut_down()
