"""A private static nginx: loopback, unprivileged, kept connections, nothing read from a disk."""

import os
import shutil
from pathlib import Path

from bench.provider.completion import COMPLETION, PATH
from deploy.local import places
from deploy.local.programs import Program

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    server {{
        listen 127.0.0.1:{port};
        location = {path} {{ default_type application/json; return 200 '{body}'; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


def program(folder: Path, port: int) -> Program:
    """How to run it, its configuration written. FileNotFoundError when it is not installed."""
    binary = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/sbin")
    if binary is None:
        raise FileNotFoundError("nginx is not installed")
    account = places.account_for("nobody")
    real = places.make_folder(places.server_folder(folder), account)
    text = _CONFIGURATION.format(folder=real, port=port, path=PATH, body=COMPLETION)
    places.write_private(real / "nginx.conf", text, account)
    return Program(
        name="nginx",
        command=(binary, "-e", "stderr", "-p", str(real), "-c", str(real / "nginx.conf")),
        environment={"PATH": os.defpath},
        folder=str(real),
        log=str(folder.parent / "nginx.log"),
        account=account,
    )
