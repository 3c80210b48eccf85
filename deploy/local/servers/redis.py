"""A private Redis that keeps nothing on disk: it carries wake-ups, never truth."""

import os
import shutil
import socket
from pathlib import Path

from deploy.local import places
from deploy.local.programs import Program, ProgramFailed
from deploy.local.servers.server import Server

# A title of its own would overwrite the environment that tells whose process it is.
_CONFIGURATION = """
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {folder}
save ""
appendonly no
daemonize no
set-proc-title no
maxmemory 256mb
maxmemory-policy allkeys-lru
"""


class Redis(Server):
    """One server with a password for the default user."""

    name = "redis"
    title = "Redis"
    package_account = "redis"

    @property
    def data(self) -> Path:
        """The server's working directory."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The default user's address of database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write its configuration."""
        places.make_folder(self.data, self.account)
        text = _CONFIGURATION.format(port=self.port, password=self.password, folder=self.data)
        places.write_private(self.data / "redis.conf", text, self.account)

    def program(self) -> Program:
        """The server in the foreground."""
        binary = shutil.which("redis-server")
        if binary is None:
            raise FileNotFoundError("Redis is not installed")
        return Program(
            name=self.name,
            command=(binary, str(self.data / "redis.conf")),
            environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
            folder=str(self.data),
            log=str(self.log),
            account=self.account,
        )

    def is_ready(self) -> bool:
        """Whether it answers PING."""
        try:
            return self.command("PING").startswith("+PONG")
        except (OSError, ProgramFailed):
            return False

    def wipe(self) -> None:
        """Forget everything, as a restart does."""
        self.command("FLUSHALL")

    def command(self, *words: str | bytes) -> str:
        """One command with a one-line answer, which comes back raw; ProgramFailed on an error."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            lines = connection.makefile("rb")
            for command in (("AUTH", self.password), words):
                connection.sendall(_encode(command))
                answer = lines.readline().decode()
                if answer.startswith("-"):
                    raise ProgramFailed(f"redis: {answer.strip()}")
        return answer


def _encode(words: tuple[str | bytes, ...]) -> bytes:
    raw = [word if isinstance(word, bytes) else word.encode() for word in words]
    return b"".join([b"*%d\r\n" % len(raw), *(b"$%d\r\n%b\r\n" % (len(w), w) for w in raw)])
