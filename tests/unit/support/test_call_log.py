from pathlib import Path

from services.executor.simulator.calls import CallLog
from tests.support.checker_sources import read_calls


def test_calls_are_read_as_the_log_grows(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    assert read_calls(path) == []
    log = CallLog(path)
    first = log.start("rr_a-1", "m")
    assert [(call.request_id, call.fence, call.ended) for call in read_calls(path)] == [
        ("rr_a", 1, None)
    ]

    log.end(first, "answered", 200)
    log.start("rr_b-2", "m")
    log.close()

    assert [(call.request_id, call.fence, call.ended) for call in read_calls(path)] == [
        ("rr_a", 1, "answered"),
        ("rr_b", 2, None),
    ]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    log = CallLog(whole)
    log.start("rr_a-1", "m")
    log.close()
    line = whole.read_bytes()
    path = tmp_path / "growing"

    path.write_bytes(line + line[:20])
    assert len(read_calls(path)) == 1
    path.write_bytes(line + line.replace(b"rr_a", b"rr_b"))

    assert [call.request_id for call in read_calls(path)] == ["rr_a", "rr_b"]
