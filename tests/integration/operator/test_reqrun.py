"""`reqrun` as one program: what is a service's is answered by it, the rest side by side."""

import json
import subprocess
import sys

import pytest

from deploy.operator import table
from deploy.operator.upkeep import Reconciled
from libs.common.settings import SettingsError
from libs.ledger.upkeep import Drift
from services.accounts.api import commands as of_accounts
from services.billing.api import commands as of_billing
from tests.support import desks
from tests.support.desks import ROOT, AtDesk
from tests.support.operators import PROVIDER_KEY
from tests.support.stack import System


def test_a_services_command_says_the_same_here_and_there(
    system: System, environ: dict[str, str]
) -> None:
    words = ("accounts", "show", system.seeded.account_id, "--json")
    there = subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-m", "services.accounts", *words],
        cwd=ROOT,
        env=dict(system.process("accounts").program.environment),
        capture_output=True,
        text=True,
        check=True,
    )

    here = desks.run(environ, *words)

    assert (here.returncode, here.stderr) == (0, "")
    assert json.loads(here.stdout) == json.loads(there.stdout)


def test_what_is_asked_for_comes_from_standard_input_here_too(
    system: System, environ: dict[str, str]
) -> None:
    project = system.seeded.free_project_id
    url = f"{system.simulator_url}/v1"

    set_ = desks.run(
        environ, "connections", "set", "--project", project, "--base-url", url, "--json",
        stdin=PROVIDER_KEY + "\n",
    )  # fmt: skip

    assert (set_.returncode, set_.stderr) == (0, "")
    assert json.loads(set_.stdout)["key_hint"] == "sk-…WXYZ"


@pytest.mark.parametrize(
    ("words", "code"), [((), 2), (("nonsense",), 2), (("accounts", "show", "acc_nobodys"), 1)]
)
def test_exit_codes_say_what_was_wrong(
    environ: dict[str, str], words: tuple[str, ...], code: int
) -> None:
    done = desks.run(environ, *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr


def test_usage_webhooks_and_key_material_are_there(system: System, desk: AtDesk) -> None:
    keys = str(system.stack.site.folder / "keys")

    assert desk.ask("keys", "material", "check", "--folder", keys).is_good
    assert desk.ask("usage", "show", "--account", system.seeded.account_id) is not None
    assert desk.ask("webhooks", "show") is not None
    assert desk.ask("support", "list") == []


def test_no_command_of_a_service_is_left_out() -> None:
    here = {"show", "seed-demo", *table.OURS}
    wanted = {*of_accounts.COMMANDS, *of_billing.COMMANDS} - here

    parsed = table.parser()
    assert {words for words in wanted if words not in _known()} == set()
    assert parsed.prog == "reqrun"


def _known() -> set[str]:
    return {
        *table.OURS,
        *(words for words in of_accounts.COMMANDS if words.partition(" ")[0] in table.HANDED_ON),
        *of_billing.COMMANDS,
    }


def test_retention_is_told_and_run_in_all_three_databases(desk: AtDesk) -> None:
    shown = desk.ask("retention", "show")
    run = desk.ask("retention", "run")

    assert (shown.is_good, run.is_good) == (True, True)
    assert set(shown.databases) == set(run.databases) == {"requests", "accounts", "billing"}
    counted = {one.table for one in shown.databases["requests"] if one.over is not None}
    assert counted >= {"requests", "bodies", "nonces", "idempotency_keys", "rollups", "outbox"}


def test_books_that_agree_are_fine_and_a_counter_that_differs_is_not(
    system: System, desk: AtDesk
) -> None:
    fine = desk.ask("reconcile")
    server = system.stack.postgresql
    server.execute(
        "INSERT INTO account_counters (account_id, mode, pending, period)"
        " VALUES ('acc_drifting', 'live', 3, current_date)",
        "requests",
    )
    try:
        wrong = desk.ask("reconcile")
    finally:
        server.execute("DELETE FROM account_counters WHERE account_id = 'acc_drifting'", "requests")

    assert isinstance(fine, Reconciled)
    assert (fine.is_good, fine.failed) == (True, {})
    assert (wrong.is_good, wrong.counters) == (False, Drift(1, 0, 0))


def test_one_part_that_cannot_be_asked_keeps_no_other(environ: dict[str, str]) -> None:
    missing = {name: text for name, text in environ.items() if not name.endswith("_BILLING")}

    shown = AtDesk(desks.of_environment(missing)).ask("retention", "show")

    assert shown.is_good is False
    assert set(shown.databases) == {"requests", "accounts"}
    assert "REQRUN_DATABASE_URL is not set" in shown.failed["billing"]


def test_a_load_is_sent_at_its_rate_and_followed_to_its_end(desk: AtDesk) -> None:
    seen = desk.ask("load", "--rate", "20", "--seconds", "2", "--drain", "60")

    assert seen.accepted >= 40
    assert seen.errors == {}
    assert seen.states == {"completed": seen.accepted}
    assert seen.p50_ms is not None
    assert seen.p99_ms >= seen.p50_ms
    assert seen.is_good


def test_what_a_load_is_refused_for_is_told_by_code(system: System) -> None:
    revoked = AtDesk.of(system.stack.site, REQRUN_API_KEY="reqrun_test_nobodys")

    seen = revoked.ask("load", "--rate", "10", "--seconds", "1", "--drain", "1")

    assert (seen.is_good, seen.accepted) == (False, 0)
    assert set(seen.errors) == {"invalid_api_key"}


def test_a_live_key_is_only_loaded_by_who_says_so(system: System) -> None:
    live = AtDesk.of(system.stack.site, REQRUN_API_KEY=system.seeded.live_key)

    with pytest.raises(Exception, match="live key"):
        live.ask("load")


def test_without_settings_a_command_says_which_it_needs() -> None:
    with pytest.raises(SettingsError, match="REQRUN_LEDGER_URL is not set"):
        AtDesk(desks.of_environment({})).ask("requests", "list")
