"""Secrets of an installation: made once, each for its readers, in the form its readers take."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from deploy.compose import prepare
from deploy.secrets import kubernetes
from deploy.secrets.__main__ import main
from deploy.secrets.contents import READERS
from deploy.secrets.passwords import NAMES, load_or_make
from deploy.secrets.rendering import Hosts, Missing, load

RELAY = "smtps://relay.example"
GIVEN = {"REQRUN_SMTP_URL": RELAY}
HOSTS = Hosts(requests="r:1", accounts="a:2", billing="b:3", rabbitmq="q:4", redis="c:5")


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["--folder", str(folder), "--namespace", "here"], GIVEN) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    return {item["metadata"]["name"]: item for item in items}


def test_a_second_run_makes_the_same_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(tmp_path / "site", capsys) == listed(tmp_path / "site", capsys)


def test_every_secret_that_is_named_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = listed(tmp_path / "site", capsys)

    assert set(made) == kubernetes.names()
    assert {item["metadata"]["namespace"] for item in made.values()} == {"here"}
    assert made["gateway"]["stringData"]["REQRUN_LEDGER_URL"].startswith("postgresql://")
    assert made["accounts"]["stringData"]["REQRUN_SMTP_URL"] == RELAY


def test_private_keys_go_to_their_readers_alone(tmp_path: Path) -> None:
    site = load(tmp_path / "site", HOSTS, GIVEN)
    holders = {
        name: {reader for reader, values in site.secrets().items() if site.key[name] in str(values)}
        for name in ("executor_sealing", "data_plane", "pepper")
    }

    assert holders == {
        "executor_sealing": {"executor"},
        "data_plane": {"gateway", "executor"},
        "pepper": {"gateway", "accounts"},
    }


def test_what_only_the_operator_knows_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Missing, match="REQRUN_SMTP_URL"):
        load(tmp_path / "site", HOSTS, {})

    assert main(["--folder", str(tmp_path / "site")], {}) == 1
    assert "REQRUN_SMTP_URL" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_passwords_are_private_and_old_ones_stay_when_a_new_one_is_needed(tmp_path: Path) -> None:
    made = load_or_make(tmp_path)
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps({name: made[name] for name in NAMES if name != "scaler"}))

    again = load_or_make(tmp_path)

    assert {n: p for n, p in again.items() if n != "scaler"} == {
        n: p for n, p in made.items() if n != "scaler"
    }
    assert again["scaler"] != made["scaler"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_compose_volumes_hold_what_each_container_reads_and_nothing_else(tmp_path: Path) -> None:
    environ = {
        **GIVEN,
        prepare.SITE: str(tmp_path / "site"),
        prepare.VOLUMES: str(tmp_path / "volumes"),
    }

    prepare.run(environ)
    prepare.run(environ)

    found = {
        folder.name: {file.name for file in folder.iterdir()}
        for folder in (tmp_path / "volumes").iterdir()
    }
    servers = {
        "postgresql": {"password", "roles.sql"},
        "rabbitmq": {"definitions.json", "rabbitmq.conf"},
        "redis": {"redis.conf"},
    }
    readers = {
        reader: {f"REQRUN_{name}" for name in templates} for reader, templates in READERS.items()
    }
    paddle = {"REQRUN_PADDLE_API_KEY", "REQRUN_PADDLE_WEBHOOK_SECRET"}
    assert found == {**servers, **readers, "paddle": paddle}
    volumes = tmp_path / "volumes"
    for ours, theirs in (("API_KEY", "API_KEY"), ("WEBHOOK_SECRETS", "WEBHOOK_SECRET")):
        billing = volumes / "billing" / f"REQRUN_PADDLE_{ours}"
        assert billing.read_text() == (volumes / "paddle" / f"REQRUN_PADDLE_{theirs}").read_text()
