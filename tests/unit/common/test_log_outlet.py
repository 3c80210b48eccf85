"""Whatever becomes of stdout, logging neither waits nor fails."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from libs.common.logs import LINES_LOST, Outlet

LINE = "x" * 200 + "\n"
LONG = "y" * 20_000 + "\n"
PIPE_BYTES = 65_536


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, Outlet]]:
    """The reading end, and an outlet into the writing one."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w") as writer:
        yield reader, Outlet(writer)


def lost() -> float:
    [metric] = LINES_LOST.collect()
    return metric.samples[0].value


@pytest.mark.parametrize("line", [LINE, LONG], ids=["short", "long"])
def test_lines_go_through_whole_at_once_and_in_order(
    pipe: tuple[BinaryIO, Outlet], line: str
) -> None:
    reader, outlet = pipe

    outlet.write(line)
    outlet.write("{}\n")

    assert reader.read(PIPE_BYTES).decode() == line + "{}\n"


@pytest.mark.fault(88)
def test_a_pipe_that_nobody_reads_loses_lines_and_blocks_nobody(
    pipe: tuple[BinaryIO, Outlet],
) -> None:
    reader, outlet = pipe
    before, many = lost(), 3 * PIPE_BYTES // len(LINE)

    for _ in range(many):
        outlet.write(LINE)

    assert lost() - before >= many / 2
    reader.read(PIPE_BYTES)
    outlet.write("again\n")
    assert reader.read(PIPE_BYTES).endswith(b"again\n")


@pytest.mark.fault(88)
def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    before = lost()
    with Path("/dev/full").open("w") as full:
        Outlet(full).write(LINE)

    assert lost() - before == 1


def test_the_end_of_a_reader_is_no_error(pipe: tuple[BinaryIO, Outlet]) -> None:
    reader, outlet = pipe
    before = lost()
    reader.close()

    outlet.write(LINE)

    assert lost() - before == 1
