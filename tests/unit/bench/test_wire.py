import json

import pytest

from bench.generator import wire
from bench.generator.job import Accepted, Exactly, Target

MESSAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-LENGTH: 5\r\n\r\nhello"


@pytest.mark.parametrize("cut", range(1, len(MESSAGE)))
def test_a_message_is_not_read_before_it_is_whole(cut: int) -> None:
    assert wire.split(MESSAGE[:cut]) is None


def test_a_whole_message_is_head_and_body() -> None:
    head, body = wire.split(MESSAGE) or (b"", b"")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"hello"


def test_more_than_one_message_is_refused() -> None:
    with pytest.raises(wire.NotUnderstood):
        wire.split(MESSAGE + b"HTTP")


def test_a_message_without_a_length_is_refused() -> None:
    with pytest.raises(wire.NotUnderstood):
        wire.split(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")


def test_what_is_sent_can_be_read_again() -> None:
    target = Target(
        port=80, path="/p", body="é", headers={"Authorization": "Bearer x"}, expected=Exactly("")
    )
    head, body = wire.split(wire.encode(target)()) or (b"", b"")
    assert head.startswith(b"POST /p HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert head.endswith(b"\r\nAuthorization: Bearer x")
    assert body == "é".encode()


def test_a_target_that_signs_makes_each_request_its_own() -> None:
    target = Target(
        port=1, path="/p", body='{"a":1}', signing_secret="of a test", expected=Accepted()
    )
    payload = wire.encode(target)
    (one, first), (two, second) = (wire.split(payload()) or (b"", b"") for _ in range(2))

    assert first != second
    assert json.loads(first)["a"] == 1
    assert len(json.loads(first)["idempotency_key"]) == 32
    assert one.count(b"X-ReqRun-") == two.count(b"X-ReqRun-") == 3
