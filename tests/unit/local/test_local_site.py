import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import keys
from deploy.local.ports import free_ports, is_free
from deploy.local.processes import MIGRATIONS, PROCESSES, SEED
from deploy.local.site import Ports, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "stack", {"BACKOFF_SCALE": "0.1"}, {})
    yield made
    made.data.rmdir()


def test_every_template_of_every_process_can_be_filled(site: Site) -> None:
    for process in (*PROCESSES, *MIGRATIONS, SEED):
        environment = site.program(process).environment
        assert not [name for name, text in environment.items() if "{port" in text or "None" in text]
        assert environment["REQRUN_ENV"] == "local"
        assert environment["REQRUN_BACKOFF_SCALE"] == "0.1"


def test_a_service_gets_no_secret_of_another(site: Site) -> None:
    made = site.keys
    for process in PROCESSES:
        environment = "\n".join(site.program(process).environment.values())
        others = {name for name in keys.SERVICES if name != process.service}
        assert not [name for name in others if made.services[name] in environment]
        assert not [name for name in others if made.service_keys[name].private in environment]
        assert not [name for name, owner in made.owners.items() if owner in environment]
    accounts = next(p for p in PROCESSES if p.name == "accounts")
    assert made.executor_sealing not in "".join(site.program(accounts).environment.values())


def test_keys_and_ports_are_the_same_at_the_next_start(site: Site) -> None:
    again = Site(site.folder, {}, {})
    assert again.keys == site.keys
    port = site.ports["gateway"]
    assert Ports(site.folder / "ports.json", {})["gateway"] == port


def test_keys_are_private(site: Site) -> None:
    assert (site.folder / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert site.folder.stat().st_mode & 0o777 == 0o700


def test_a_preferred_port_is_taken_when_it_is_free(tmp_path: Path) -> None:
    wanted = free_ports()
    assert Ports(tmp_path / "ports.json", {"gateway": wanted})["gateway"] == wanted


def test_a_port_that_somebody_else_took_is_chosen_again(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    port = Ports(file, {})["gateway"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert not is_free(port)
        Ports(file, {}).forget_taken()
        assert Ports(file, {})["gateway"] != port
