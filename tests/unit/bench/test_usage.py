import os
import subprocess
import sys
from subprocess import PIPE

from bench.usage import (
    Resources,
    Stat,
    cpu_seconds,
    memory_bytes,
    parse_busy,
    parse_stat,
    resources,
    tree,
)

LINE = (
    "4711 (postgres: (a) b) S 42 4711 4711 0 -1 4194560 1713 52 0 0 "
    "120 30 7 3 20 0 1 0 8817 229203968 6212 18446744073709551615"
)


def test_a_stat_line_is_read_although_the_name_has_spaces_and_parentheses() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    assert parse_stat(LINE) == Stat(pid=4711, parent=42, seconds=160 / ticks, threads=1)


def test_waiting_is_not_being_busy() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    text = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"
    assert parse_busy(text) == 171 / ticks


def test_a_tree_holds_children_of_children_and_nobody_else() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20}
    stats = {pid: Stat(pid, parent, 0) for pid, parent in parents.items()}
    assert tree(stats, [10]) == {10, 11, 12}
    assert tree(stats, [11, 20]) == {11, 12, 20, 21}


def test_a_process_of_ours_has_used_some_of_both() -> None:
    ourselves = {"tests": [os.getpid()]}
    assert cpu_seconds(ourselves)["tests"] > 0
    assert memory_bytes(ourselves)["tests"] > 1_000_000


def test_a_process_that_is_gone_uses_nothing() -> None:
    nobody = {"gone": [2**22 + 1]}
    assert cpu_seconds(nobody) == {"gone": 0}
    assert memory_bytes(nobody) == {"gone": 0}


HOLDER = """
import os
print("ready", flush=True)
input()
held = [open(os.devnull), open(os.devnull)]
print("held", flush=True)
input()
"""


def test_what_a_process_holds_is_counted() -> None:
    """Of a process of its own: in this one others open and close what they like."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:  # noqa: S603  our own
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        before = resources({"tests": [child.pid]})["tests"]
        print(file=child.stdin, flush=True)
        assert child.stdout.readline() == "held\n"
        after = resources({"tests": [child.pid]})["tests"]
        print(file=child.stdin, flush=True)

    assert after.descriptors == before.descriptors + 2
    assert before.memory > before.own_memory > 1_000_000
    assert before.threads >= 1


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert resources({"gone": [2**22 + 1]}) == {"gone": Resources(0, 0, 0, 0)}
