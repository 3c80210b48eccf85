"""Secrets that are mounted are for their owner and group alone."""

from pathlib import Path

import pytest

from deploy.operator.doctor import keys
from deploy.operator.doctor.check import Finding, State, examine


async def look(folder: Path, **own: str) -> Finding:
    environs = {"accounts": {"REQRUN_SECRETS": str(folder)}}
    [check] = [one for one in keys.checks("", environs, own) if "mounted" in one.name]
    return (await examine([check], lambda _: None)).findings[0]


@pytest.mark.parametrize(
    ("mode", "state"), [(0o440, State.OK), (0o400, State.OK), (0o444, State.FAIL)]
)
async def test_a_file_that_everybody_may_read_is_named(
    tmp_path: Path, mode: int, state: State
) -> None:
    file = tmp_path / "REQRUN_BROKER_URL"
    file.write_text("canary of a broker")
    file.chmod(mode)

    found = await look(tmp_path)

    assert found.state is state
    assert ("REQRUN_BROKER_URL" in found.says) == (state is State.FAIL)
    assert "canary" not in found.says


async def test_a_volume_of_one_machine_is_its_containers_own(tmp_path: Path) -> None:
    assert (await look(tmp_path, REQRUN_ENV="local")).state is State.SKIP
