"""A private RabbitMQ node with a port mapper (epmd), a cookie and a home of its own."""

import json
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local import places
from deploy.local.programs import Controlled, Program, ProgramFailed, Run, Running, run_once
from deploy.local.servers.server import Server
from libs.common.broker.definitions import SALT_BYTES, hash_password
from libs.common.settings import Secret

_ADMINISTRATOR = "reqrun"
_HANDSHAKE = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"

# Small for one machine: by default a node's write-ahead log may hold 512 MB in memory.
_CONFIGURATION = """
listeners.tcp.local = 127.0.0.1:{port}
load_definitions = {folder}/definitions.json
loopback_users = none
log.console = true
log.console.level = info
log.file = false
vm_memory_high_watermark.absolute = 1GiB
disk_free_limit.absolute = 100MB
raft.wal_max_size_bytes = 67108864
"""
_ERLANG = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false"


def binaries() -> Path:
    """The package's own scripts, not the wrapper that switches user; else FileNotFoundError."""
    for folder in (
        Path("/usr/lib/rabbitmq/bin"),
        Path("/usr/local/sbin"),
        Path("/opt/rabbitmq/sbin"),
    ):
        if (folder / "rabbitmq-server").exists():
            return folder
    raise FileNotFoundError("RabbitMQ is not installed")


class RabbitMq(Server):
    """One node, one administrator `reqrun`; more users and all topology come by definitions."""

    name = "rabbitmq"
    title = "RabbitMQ"
    package_account = "rabbitmq"

    ports = 3  # AMQP, then the port mapper's, then the one between nodes

    def __init__(
        self, folder: Path, *, password: str, port: int | None = None, run: Run = Running
    ) -> None:
        """See Server. `definitions`, in RabbitMQ's own form, are loaded at every start."""
        super().__init__(folder, password=password, port=port, run=run)
        self.definitions: dict[str, Any] = {}
        self._mapper: Controlled | None = None

    @property
    def data(self) -> Path:
        """The node's data directory."""
        return self.folder / "data"

    @property
    def home(self) -> Path:
        """Configuration and cookie."""
        return self.folder / "home"

    @property
    def node(self) -> str:
        """The Erlang node's name."""
        return f"reqrun-{self.port}@localhost"

    @property
    def url(self) -> str:
        """The administrator's address."""
        return self.user_url(_ADMINISTRATOR, self.password)

    def user_url(self, user: str, password: str) -> str:
        """One user's address."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/"

    def prepare(self) -> None:
        """Write configuration, cookie and definitions; they are loaded at every boot."""
        home = places.make_folder(self.home, self.account)
        places.make_folder(self.data, self.account)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            places.write_private(cookie, secrets.token_hex(20), self.account)
            cookie.chmod(0o400)
        files = {
            "rabbitmq.conf": _CONFIGURATION.format(port=self.port, folder=home),
            "enabled_plugins": "[].\n",
            "rabbitmq-env.conf": "",
            "definitions.json": json.dumps(self._all_definitions()),
        }
        for name, text in files.items():
            places.write_private(home / name, text, self.account)

    def program(self) -> Program:
        """The node; SIGTERM is its graceful stop."""
        return self._program(self.name, str(binaries() / "rabbitmq-server"))

    def mapper_program(self) -> Program:
        """The node's own epmd, in the foreground, so that none is left behind."""
        epmd = shutil.which("epmd")
        if epmd is None:
            raise FileNotFoundError("epmd (Erlang) is not installed")
        return self._program("epmd", epmd)

    @property
    def mapper(self) -> Controlled:
        """The port mapper's process."""
        if self._mapper is None:
            self._mapper = self._run(self.mapper_program())
        return self._mapper

    def all_processes(self) -> tuple[Controlled, ...]:
        """The port mapper comes first."""
        return (self.mapper, self.process)

    def begin(self) -> None:
        """Start the port mapper, then the node."""
        if not self.mapper.is_running:
            self.prepare()
            self.mapper.start()
        super().begin()

    def stop(self) -> None:
        """Stop the node, then the port mapper."""
        super().stop()
        self.mapper.stop()

    def wipe(self) -> None:
        """Forget everything the node kept. It must not be running."""
        if self.process.is_running:
            raise ProgramFailed("stop or kill RabbitMQ before its data is wiped")
        shutil.rmtree(self.data)

    def is_ready(self) -> bool:
        """Whether it answers an AMQP greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(_HANDSHAKE)
                return connection.recv(1) == _METHOD_FRAME
        except OSError:
            return False

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node (about a second); ProgramFailed with the reason."""
        return run_once(self.tool("rabbitmqctl", *arguments))

    def tool(self, name: str, *arguments: str) -> Program:
        """One of the server's own programs, for this node."""
        return self._program(name, str(binaries() / name), *arguments)

    def _program(self, name: str, *command: str) -> Program:
        return Program(
            name=name,
            command=command,
            environment=self._environment(),
            folder=str(self.folder),
            log=str(self.log.with_name(f"{name}.log")),
            account=self.account,
        )

    def _environment(self) -> Mapping[str, str]:
        home = self.home
        return {
            "PATH": f"{os.defpath}:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self.port + 1),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_BYTES": "0",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.port + 2),
            "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_MNESIA_DIR": str(self.data / "node"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG
            + " -kernel inet_dist_use_interface {127,0,0,1}",
            # The start script then becomes the node instead of waiting beside it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _all_definitions(self) -> dict[str, Any]:
        """The caller's definitions with the administrator and the virtual host added."""
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        own = {"user": _ADMINISTRATOR, "vhost": "/", **everything}
        given = self.definitions
        return {
            **given,
            "vhosts": [{"name": "/"}],
            "users": [_administrator(self.password), *given.get("users", [])],
            "permissions": [own, *given.get("permissions", [])],
        }


def _administrator(password: str) -> dict[str, Any]:
    return {
        "name": _ADMINISTRATOR,
        "password_hash": hash_password(Secret(password), os.urandom(SALT_BYTES)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"],
    }
