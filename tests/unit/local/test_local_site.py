import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploy.keys import folder
from deploy.keys.material import SERVICES
from deploy.local import keys, ports
from deploy.local.paddle.__main__ import Settings as PaddleSettings
from deploy.local.ports import free_ports, is_free
from deploy.local.processes import MIGRATIONS, PROCESSES, SEED
from deploy.local.site import Ports, Site
from libs.common.contracts.plans import SOLD
from libs.common.settings import Secret, load
from services.accounts.settings import Settings as AccountsSettings
from services.billing.settings import Settings as BillingSettings
from services.executor.settings import DispatcherSettings
from services.executor.settings import Settings as ExecutorSettings
from services.gateway.settings import Settings as GatewaySettings


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


def test_the_processes_can_start_with_what_they_get(site: Site) -> None:
    environments = {process.name: site.program(process).environment for process in PROCESSES}

    worker = load(ExecutorSettings, environments["executor"])
    assert worker.sealing_keys.reveal() == site.keys.material.executor[0].private
    load(DispatcherSettings, environments["dispatcher"])
    accounts = load(AccountsSettings, environments["accounts"])
    assert accounts.api_key_pepper_id == 1
    assert load(GatewaySettings, environments["gateway"]).api_key_older_peppers.reveal() == ""
    billing = load(BillingSettings, environments["billing"])
    paddle = load(PaddleSettings, environments["paddle"])
    assert billing.webhook_secrets() == (paddle.paddle_webhook_secret,)
    assert billing.paddle_api_key == paddle.paddle_api_key
    assert billing.paddle_prices == paddle.paddle_prices
    assert set(billing.paddle_prices.values()) == set(SOLD)


def test_secrets_of_before_there_was_a_paddle_get_theirs(tmp_path: Path) -> None:
    before: dict[str, dict[str, str]] = {"servers": {}, "owners": {}, "services": {}}
    (tmp_path / "secrets.json").write_bytes(msgspec.json.encode(before))
    made = keys.load_or_make(tmp_path).paddle
    assert set(made) == {"api_key", "webhook_secret"}
    assert keys.load_or_make(tmp_path).paddle == made


def test_after_a_rotation_gateways_and_executors_have_old_and_new_keys(site: Site) -> None:
    for rotate in (folder.rotate_pepper, folder.rotate_executor, folder.rotate_data_plane):
        rotate(site.folder / "keys")
    again = Site(site.folder, {}, {})
    made = again.keys.material
    environments = {process.name: again.program(process).environment for process in PROCESSES}

    gateway = load(GatewaySettings, environments["gateway"])
    accounts = load(AccountsSettings, environments["accounts"])
    worker = load(ExecutorSettings, environments["executor"])
    assert gateway.api_key_pepper == accounts.api_key_pepper == Secret(made.peppers[0].secret)
    assert gateway.api_key_older_peppers == Secret(made.peppers[1].secret)
    assert accounts.api_key_pepper_id == 2
    assert worker.sealing_keys.reveal().split(",") == [pair.private for pair in made.executor]
    assert worker.data_plane_keys == gateway.data_plane_keys
    assert accounts.data_plane_public_key == made.data_plane[0].public
    assert accounts.executor_public_key == made.executor[0].public


def test_a_service_gets_no_secret_of_another(site: Site) -> None:
    made = site.keys
    for process in PROCESSES:
        environment = "\n".join(site.program(process).environment.values())
        others = {name for name in SERVICES if name != process.service}
        assert not [name for name in others if made.services[name] in environment]
        assert not [name for name in others if made.material.services[name].private in environment]
        assert not [name for name, owner in made.owners.items() if owner in environment]
    accounts = next(p for p in PROCESSES if p.name == "accounts")
    environment = "".join(site.program(accounts).environment.values())
    assert made.material.executor[0].private not in environment
    assert made.material.data_plane[0].private not in environment
    gateway = next(p for p in PROCESSES if p.name == "gateway")
    assert made.material.executor[0].private not in str(site.program(gateway).environment)


def test_keys_and_ports_are_the_same_at_the_next_start(site: Site) -> None:
    again = Site(site.folder, {}, {})
    assert again.keys == site.keys
    port = site.ports["gateway"]
    assert Ports(site.folder / "ports.json", {})["gateway"] == port


def test_keys_are_private(site: Site) -> None:
    assert {file.stat().st_mode & 0o777 for file in (site.folder / "keys").iterdir()} == {0o600}
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


def test_no_port_is_given_twice_whatever_needs_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_FIRST", 20_000)
    monkeypatch.setattr(ports, "_LAST", 20_040)
    monkeypatch.setattr(ports, "_given", deque())
    monkeypatch.setattr(ports, "is_free", lambda _: True)

    names = ("postgresql", "redis", "rabbitmq", "gateway", "executor")
    for attempt in range(20):
        monkeypatch.setattr(ports, "_given", deque())
        chosen = Ports(tmp_path / f"{attempt}.json", {})
        first = [chosen[name] for name in names[:3]]
        monkeypatch.setattr(ports, "_given", deque())  # as in another process
        again = Ports(tmp_path / f"{attempt}.json", {})
        used = [*first, first[2] + 1, first[2] + 2, *(again[name] for name in names[3:])]
        assert len(set(used)) == len(used)
