"""schemathesis finds nothing: the OpenAPI document against a running gateway, bearer and signed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.ledger.states import Outcome, State
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.signing import SECRET

ROOT: Final = Path(__file__).resolve().parents[2]
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
SEED: Final = 4711
# An operation. 200 found nothing more in 130 s.
EXAMPLES: Final = int(os.environ.get("REQRUN_EXAMPLES", "60"))
A_STATE: Final = 10
LIMIT_SECONDS: Final = 170


@pytest.fixture(scope="module")
async def patient(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway that keeps nobody waiting and bars nobody: the fuzzer fails on purpose."""
    own = msgspec.structs.replace(
        settings,
        max_waiting=0,
        drop_in_wait=timedelta(seconds=1),
        failures_a_minute=1_000_000,
        port=free_ports(),
        internal_port=free_ports(),
    )
    async with Gateway.running(own) as running:
        yield running


async def _requests(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench, project_id: str
) -> list[str]:
    """Ids of the project's requests: queued, completed and failed ones."""
    key = accounts.issue(project_id=project_id)
    ids: list[str] = []
    for state in (None, State.COMPLETED, State.FAILED):
        for _ in range(A_STATE):
            answer = await gateway.accept(key)
            ids.append(answer.json()["id"])
            if state is not None:
                await _end(accounts, ledger, ids[-1], state)
    return ids


async def _end(accounts: AccountsStandIn, ledger: Bench, request_id: str, state: State) -> None:
    claim = (await ledger.claim(request_id))[0]
    is_good = state is State.COMPLETED
    end = ending(
        claim,
        state=state,
        outcome=Outcome.COMPLETED if is_good else Outcome.PERMANENT,
        error_code=None if is_good else "provider_rejected",
        result=b'{"object":"chat.completion"}' if is_good else None,
    )
    await ledger.finish(accounts.sealed(claim, end))


async def test_schemathesis_finds_nothing_with_a_bearer_key_and_with_a_signing_one(
    patient: Gateway, accounts: AccountsStandIn, ledger: Bench, tmp_path: Path
) -> None:
    """Both at once: most of the time goes into making up the calls."""
    runs = [await _prepare(patient, accounts, ledger, secret) for secret in ("", SECRET)]
    origin = f"http://127.0.0.1:{patient.settings.port}"

    ends = await asyncio.gather(*(_run(origin, run, tmp_path) for run in runs))

    for told, _ in ends:
        print(told)  # noqa: T201  # the summary, for who runs with -s
    assert [code for _, code in ends] == [0, 0]


async def _prepare(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench, secret: str
) -> dict[str, str]:
    """A key and its requests, as the hooks are told of them."""
    wide = msgspec.structs.replace(LIMITS, requests_per_minute=1_000_000)
    key = accounts.issue("live", secret or None, limits=wide)
    ids = await _requests(gateway, accounts, ledger, accounts.of(key).project_id)
    return {"FUZZ_KEY": key, "FUZZ_SECRET": secret, "FUZZ_IDS": ",".join(ids)}


async def _run(origin: str, environment: dict[str, str], folder: Path) -> tuple[str, int | None]:
    command = [
        "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{origin}/openapi.json",
        "--phases", "examples,coverage,fuzzing,stateful",
        "--checks", "all",
        "--exclude-checks", "use_after_free",  # DELETE keeps what happened, on purpose
        "--max-examples", str(EXAMPLES),
        "--seed", str(SEED),
        "--generation-database", "none",
        "--continue-on-failure",
        "--no-color",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command,
        cwd=folder,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.support.fuzzing_hooks",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return told.decode(), process.returncode
