"""What the bootstrap forbids the system while it installs is allowed again, however it ends."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.local.site import ROOT

OWN = "#!/bin/sh\nexit 0 # the system's own\n"


def _installer() -> str:
    """The part that runs as root, without the rest."""
    script = (ROOT / "deploy/local/bootstrap.sh").read_text()
    return script.partition("<<'SCRIPT'")[2].partition("\n")[2].partition("\nSCRIPT\n")[0]


def _install(folder: Path, apt: str) -> None:
    """`apt`: what happens instead of apt-get."""
    fake = folder / "apt-get"
    fake.write_text(f"#!/bin/sh\n{apt}\n")
    fake.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.defpath}"}
    subprocess.run(  # noqa: S603  our own script
        ["/bin/sh", "-s", str(folder / "policy"), str(folder / "log"), "redis-server"],
        input=_installer(),
        text=True,
        env=environment,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("end", ["true", "false", "kill -TERM $PPID", "kill -HUP $PPID"])
@pytest.mark.parametrize("had_one", [True, False])
def test_the_systems_own_rule_is_back(tmp_path: Path, end: str, *, had_one: bool) -> None:
    policy = tmp_path / "policy"
    if had_one:
        policy.write_text(OWN)

    _install(tmp_path, end)

    assert (policy.read_text() if policy.exists() else None) == (OWN if had_one else None)


def test_after_a_kill_the_next_run_brings_it_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(OWN)

    _install(tmp_path, "kill -KILL $PPID")
    assert policy.read_text() != OWN
    _install(tmp_path, "true")

    assert policy.read_text() == OWN
