"""What the Ingress makes of nginx, tried on a real one: limits, time-outs and words are ours."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from deploy.checks.manifests import rendering
from deploy.local.ports import free_ports, is_free
from deploy.local.programs import Program, Running
from tests.support.waiting import until

NGINX = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

MEBIBYTE = 1024 * 1024
OWN = b'{"error":{"message":"ours","type":"api_error","code":"wait_timeout"}}'

# As the controller of F5 renders an Ingress: annotations become directives, snippets are pasted.
CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream gateway {{ server 127.0.0.1:{backend}; }}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            {directives}
            {location}
            proxy_pass http://gateway;
        }}
    }}
}}
"""


class Gateway(BaseHTTPRequestHandler):
    """Answers 504 in words of its own, as the gateway does when a wait is over."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(504)
        self.send_header("Content-Length", str(len(OWN)))
        self.end_headers()
        self.wfile.write(OWN)

    def log_message(self, *_: object) -> None:
        pass


def configuration(folder: Path, port: int, backend: int) -> str:
    found = rendering.render(rendering.KUBERNETES / "overlays" / "production")
    api = next(o for o in found if o["kind"] == "Ingress" and o["metadata"]["name"] == "api")
    known = {k.removeprefix("nginx.org/"): v for k, v in api["metadata"]["annotations"].items()}
    names = ("proxy-connect-timeout", "proxy-read-timeout", "proxy-send-timeout")
    directives = [f"{name.replace('-', '_')} {known[name]};" for name in names]
    directives.append(f"client_max_body_size {known['client-max-body-size']};")
    return CONFIGURATION.format(
        user="user root;" if os.geteuid() == 0 else "",  # as whom the test's folder can be entered
        folder=folder,
        port=port,
        backend=backend,
        server=known["server-snippets"],
        location=known["location-snippets"],
        directives=" ".join(directives),
    )


@pytest.fixture
def gateway() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def edge(tmp_path: Path, gateway: ThreadingHTTPServer) -> AsyncIterator[int]:
    assert NGINX is not None
    port, file = free_ports(), tmp_path / "nginx.conf"
    file.write_text(configuration(tmp_path, port, gateway.server_address[1]))
    program = Program(
        name="nginx",
        command=(NGINX, "-e", "stderr", "-p", str(tmp_path), "-c", str(file)),
        environment={"PATH": os.defpath},
        log=str(tmp_path / "nginx.log"),
    )
    running = Running(program)
    running.start()
    await until(lambda: not is_free(port))
    yield port
    running.stop()


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"] == "application/json"
        return str(json.loads(self.body)["error"]["code"])


def post(port: int, length: int) -> Answer:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/v1/requests", body=bytes(length))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


async def test_errors_of_the_gateway_pass_as_they_are(edge: int) -> None:
    answer = post(edge, 2 * MEBIBYTE)

    assert (answer.status, answer.body) == (504, OWN)


async def test_a_body_that_is_far_too_large_is_refused_in_our_words(edge: int) -> None:
    answer = post(edge, 3 * MEBIBYTE + 1)

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_gateway_that_is_away_is_told_in_our_words(
    edge: int, gateway: ThreadingHTTPServer
) -> None:
    gateway.shutdown()
    gateway.server_close()

    answer = post(edge, 10)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.code == "unavailable"
