"""What a page shows of content, which may have been written to do harm."""

import json
import time

import pytest

from services.accounts.pages.readable import INDENTED_BYTES, SHOWN, readable


def test_small_json_is_indented() -> None:
    assert readable('{"a":["ü",1]}'.encode()) == '{\n  "a": [\n    "ü",\n    1\n  ]\n}'


def test_half_of_a_pair_is_shown_as_it_was_written() -> None:
    body = b'{"a":"cut \\ud83d"}'
    shown = readable(body)
    assert shown is not None
    assert json.loads(shown.encode()) == json.loads(body)


@pytest.mark.parametrize("body", [b"<html>", b'{"a":', b"\xff\xfe", b"[" * 5_000], ids=str)
def test_what_is_no_json_is_shown_as_it_came(body: bytes) -> None:
    assert readable(body) == body.decode(errors="replace")


def test_nothing_is_nothing() -> None:
    assert readable(None) is None
    assert readable(b"") == ""


def test_deep_json_is_shown_as_it_came() -> None:
    body = b"[" * 450 + b",".join([b"1"] * 20_000) + b"]" * 450

    began = time.process_time()
    assert readable(body) == body.decode()
    assert time.process_time() - began < 1


def test_large_content_is_cut_and_says_so() -> None:
    body = json.dumps(["x" * 100] * (SHOWN // 50)).encode()
    assert len(body) > INDENTED_BYTES

    shown = readable(body)

    assert shown is not None
    beginning, _, end = shown.rpartition("\n")
    assert beginning == body[:SHOWN].decode()
    assert f"{len(body):,} bytes" in end
