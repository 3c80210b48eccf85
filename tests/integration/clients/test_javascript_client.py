"""The JavaScript client on Node's own fetch, against a server that checks each signature."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support import node
from tests.support.signing_server import (
    API_KEY,
    SECRET,
    Scripted,
    SigningServer,
    refused,
    standing,
)

SCRIPT = Path(__file__).with_name("javascript_client.mjs")


def run(server: SigningServer) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603  the command is ours
        [node.program(), SCRIPT, server.url, API_KEY, SECRET],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_submits_waits_and_reads_through_losses(server: SigningServer) -> None:
    busy = Scripted(503, refused("unavailable"), {"retry-after": "0"})
    missing = refused("request_not_found", "not_found_error")
    server.script(
        *(Scripted(is_cut=True), busy, Scripted()),
        *(busy, Scripted(body=standing("completed"))),
        Scripted(404, missing, {"x-request-id": "req_1"}),
        Scripted(body=standing("cancelled")),
    )

    told = run(server)

    assert told["created"]["choices"][0]["message"]["content"] == "Hello!"
    assert told["finished"] == standing("completed")
    assert told["missing"] == {"status": 404, "code": "request_not_found", "callId": "req_1"}
    assert [seen.fault for seen in server.seen] == [""] * len(server.seen)
    assert len({seen.body for seen in server.seen[:3]}) == 1
    assert "grüß dich 🌍".encode() in server.seen[0].body
    assert [(seen.method, seen.target) for seen in server.seen[3:]] == [
        ("GET", "/v1/requests/rr_1?wait=25.000"),
        ("GET", "/v1/requests/rr_1?wait=25.000"),
        ("GET", "/v1/requests/rr_2"),
        ("DELETE", "/v1/requests/rr_1"),
    ]
