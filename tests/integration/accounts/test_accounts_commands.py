"""The operator's commands, as processes."""

import json
import subprocess

from deploy.local.servers.postgresql import PostgreSql, binaries
from libs.common.crypto import SealingKey
from tests.support.operators import PROVIDER_KEY, Operator


def dump(server: PostgreSql, address: str) -> str:
    done = subprocess.run(  # noqa: S603  the command is ours
        [str(binaries() / "pg_dump"), "--dbname", address],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert server.is_ready()
    return done.stdout.decode()


def test_an_operator_makes_everything_a_customer_needs(
    operator: Operator, postgresql_server: PostgreSql, accounts_address: str
) -> None:
    account = operator.ask("accounts", "create", "Acme", "--plan", "free")
    project = operator.ask("projects", "create", "--account", account["id"], "Chat")
    where = ("--project", project["id"])
    key = operator.ask("keys", "issue", *where, "--mode", "live", "--expires-days", "30")
    base_url = ("--base-url", "https://api.openai.com/v1")
    connection = operator.ask("connections", "set", *where, *base_url, stdin=PROVIDER_KEY + "\n")

    assert account["requests_per_minute"] == 60
    assert connection["key_hint"] == "sk-…WXYZ"
    assert "sealed_key" not in connection

    [listed] = operator.ask("keys", "list", *where)
    assert listed["id"] == key["id"]
    assert listed["shown_as"] == f"reqrun_live_…{key['key'][-4:]}"
    assert operator.ask("keys", "revoke", key["id"])["revoked_at"] is not None

    shown = operator.run("show", account["id"]).stdout
    for text in ("Acme", "Chat", "sk-…WXYZ", "api_key.revoked", project["id"]):
        assert text in shown
    for place in (shown, dump(postgresql_server, accounts_address)):
        assert project["id"] in place
        assert key["key"] not in place
        assert PROVIDER_KEY not in place
        assert PROVIDER_KEY.encode().hex() not in place


def test_the_provider_key_may_come_from_the_environment(operator: Operator) -> None:
    account = operator.ask("accounts", "create", "Acme")
    project = operator.ask("projects", "create", "--account", account["id"], "Chat")

    made = operator.ask(
        "connections",
        "set",
        "--project",
        project["id"],
        "--base-url",
        "http://127.0.0.1:9999/v1",
        REQRUN_PROVIDER_KEY=PROVIDER_KEY,
    )

    assert made["key_hint"] == "sk-…WXYZ"


def test_the_demo_is_seeded_once_and_its_keys_are_renewed_only_when_asked(
    operator: Operator,
) -> None:
    first = operator.seed()
    assert first["test_key"].startswith("reqrun_test_")
    assert first["free_key"].startswith("reqrun_live_")
    names = ("test_key", "live_key", "drop_in_key", "signed_key", "free_key", "signing_secret")
    assert len({first[name] for name in names}) == len(names)

    refused = operator.run("seed-demo", "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--again" in refused.stderr

    second = operator.seed("--again")
    ids = ("account_id", "project_id", "free_account_id", "free_project_id")
    assert [second[name] for name in ids] == [first[name] for name in ids]
    assert second["live_key"] != first["live_key"]
    listed = operator.ask("keys", "list", "--project", first["project_id"])
    assert [key["revoked_at"] is None for key in listed] == [False] * 4 + [True] * 4
    assert {account["name"]: account["plan"] for account in operator.ask("show")} == {
        "Demo": "operator",
        "Free": "free",
    }


def test_an_operator_sets_pauses_resumes_and_erases_a_project(operator: Operator) -> None:
    account = operator.ask("accounts", "create", "Acme")
    project = operator.ask("projects", "create", "--account", account["id"], "Chat")["id"]

    limits = (
        "--running", "3", "--retention-hours", "2", "--metadata-days", "3",
        "--on-unknown-outcome", "fail",
    )  # fmt: skip
    changed = operator.ask("projects", "set", project, *limits)
    assert (changed["running"], changed["retention_seconds"]) == (3, 7_200)
    assert changed["metadata_seconds"] == 3 * 86_400
    assert operator.ask("projects", "pause", project)["is_paused"] is True
    assert operator.ask("projects", "resume", project)["is_paused"] is False

    refused = operator.run("projects", "erase", project)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--yes" in refused.stderr
    assert operator.ask("projects", "erase", project, "--yes")["deleted_at"] is not None


def test_an_operator_rotates_a_key_for_signed_requests(
    operator: Operator, postgresql_server: PostgreSql, accounts_address: str
) -> None:
    account = operator.ask("accounts", "create", "Acme")
    project = operator.ask("projects", "create", "--account", account["id"], "Chat")
    where = ("--project", project["id"])
    old = operator.ask("keys", "issue", *where, "--mode", "live", "--signed")

    new = operator.ask("keys", "rotate", old["id"], "--overlap-hours", "0.5")

    assert len({old["key"], new["key"], old["signing_secret"], new["signing_secret"]}) == 4
    listed = operator.ask("keys", "list", *where)
    assert [key["purpose"] for key in listed] == ["signed", "signed"]
    assert [key["expires_at"] is None for key in listed] == [False, True]
    dumped = dump(postgresql_server, accounts_address)
    for secret in (old["signing_secret"], new["signing_secret"]):
        assert secret not in dumped
        assert secret.encode().hex() not in dumped
    assert old["signing_secret"] not in operator.run("show", account["id"]).stdout


def test_an_operator_moves_everything_to_new_sealing_keys(
    operator: Operator, data_plane_key: SealingKey, executor_sealing_key: SealingKey
) -> None:
    operator.seed()
    old = {"DATA_PLANE": data_plane_key, "EXECUTOR": executor_sealing_key}
    new = {name: SealingKey.generate() for name in old}
    for name, key in new.items():
        operator.environ[f"REQRUN_{name}_PUBLIC_KEY"] = key.public_text()
    private = {
        name: f"{new[kind].to_text()},{old[kind].to_text()}"
        for name, kind in (
            ("REQRUN_DATA_PLANE_KEYS", "DATA_PLANE"),
            ("REQRUN_SEALING_KEYS", "EXECUTOR"),
        )
    }

    without_old = {name: texts.partition(",")[0] for name, texts in private.items()}
    failed = operator.run("keys", "reseal", "--json", **without_old)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "5 values open with none of these keys" in failed.stderr

    done = operator.run("keys", "reseal", "--json", **private)

    assert done.returncode == 0
    assert json.loads(done.stdout) == [
        {"kind": "signing_secrets", "resealed": 1, "broken": 0},
        {"kind": "data_keys", "resealed": 2, "broken": 0},
        {"kind": "provider_keys", "resealed": 2, "broken": 0},
    ]
    assert "data_keys: 2 sealed anew" in done.stderr
    again = operator.ask("keys", "reseal", **private)
    assert {one["resealed"] for one in again} == {0}
    assert operator.run("keys", "reseal").returncode == 1


def test_no_demo_in_production(operator: Operator) -> None:
    refused = operator.run("seed-demo", REQRUN_ENV="production")

    assert refused.returncode == 1
    assert "production" in refused.stderr
    assert operator.ask("show") == []


def test_what_cannot_be_done_is_said_in_one_line(operator: Operator) -> None:
    refused = operator.run("keys", "revoke", "key_none")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "There is no API key with this id.\n"

    away = operator.run("show", REQRUN_DATABASE_URL="postgresql://a:hunter2@127.0.0.1:1/accounts")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("The database does not answer")
    assert "hunter2" not in away.stderr


def test_missing_settings_are_named(operator: Operator) -> None:
    del operator.environ["REQRUN_DATABASE_URL"], operator.environ["REQRUN_API_KEY_PEPPER"]

    refused = operator.run("show")

    assert refused.returncode == 1
    assert "REQRUN_DATABASE_URL" in refused.stderr
    assert "REQRUN_API_KEY_PEPPER" in refused.stderr
