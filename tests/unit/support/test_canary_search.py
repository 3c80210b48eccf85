"""The search for canaries finds them in every disguise, so that finding none means something."""

import base64
import json
from pathlib import Path

import pytest

from tests.support.canaries import Search

TEXT = 'canary-of-a-test-"é☃"-4711-end'
SEARCH = Search({"it": TEXT})

DISGUISES = {
    "plain": f"before {TEXT} after".encode(),
    "in JSON": json.dumps({"a": f"before {TEXT} after"}).encode(),
    "in JSON within JSON": json.dumps({"a": json.dumps({"b": TEXT})}).encode(),
    "in JSON as UTF-8": json.dumps({"a": TEXT}, ensure_ascii=False).encode(),
    "in hex": f"\\x{f'before {TEXT}'.encode().hex()}".encode(),
    "in UTF-16": f"before {TEXT}".encode("utf-16-le"),
    **{
        f"in base64 at {shift}": base64.b64encode(b"x" * shift + TEXT.encode() + b" after")
        for shift in range(5)
    },
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_canary_is_found_in_every_disguise(disguise: str) -> None:
    assert SEARCH.in_bytes("here", DISGUISES[disguise])


def test_nothing_is_found_where_nothing_is() -> None:
    assert not SEARCH.in_bytes("here", b"canary-of-4711" * 100)


def test_a_canary_is_found_where_a_file_is_cut_into_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.canaries._PIECE", 64)
    monkeypatch.setattr("tests.support.canaries._OVERLAP", 48)
    below = tmp_path / "below"
    below.mkdir()
    for before in range(64):
        file = below / "file"
        file.write_bytes(b"x" * before + TEXT.encode() + b"x" * 100)

        assert {hit.place for hit in SEARCH.in_folders(tmp_path)} == {str(file)}
