"""The bootstrap gives the system its rule back, however it ends, and picks the best interpreter."""

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


OLD, INCOMPLETE, GOOD = "old", "without venv", "good"


def _interpreter(file: Path, kind: str) -> None:
    """One that fails as such a Python would fail at what the bootstrap asks of it."""
    fails = {OLD: "*version_info*", INCOMPLETE: "*ensurepip*", GOOD: "nothing"}[kind]
    file.write_text(f'#!/bin/sh\ncase "$2" in {fails}) exit 1 ;; esac\n')
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("of_distribution", "on_path", "chosen"),
    [
        (GOOD, GOOD, "distribution"),
        (GOOD, None, "distribution"),
        (None, GOOD, "python3"),
        (OLD, GOOD, "python3"),
        (INCOMPLETE, GOOD, "python3"),
        (INCOMPLETE, OLD, "distribution"),
        (OLD, OLD, ""),
    ],
)
def test_the_interpreter_of_the_distribution_is_taken_if_it_will_do(
    tmp_path: Path, of_distribution: str | None, on_path: str | None, chosen: str
) -> None:
    for name, kind in (("distribution", of_distribution), ("python3", on_path)):
        if kind is not None:
            _interpreter(tmp_path / name, kind)
    script = (ROOT / "deploy/local/bootstrap.sh").read_text()
    finder = "has() " + script.partition("has() ")[2].partition("# Installing a server")[0]
    finder = finder.replace("/usr/bin/python3", str(tmp_path / "distribution"))

    found = subprocess.run(  # noqa: S603  our own script
        ["/bin/sh", "-euc", f"{finder}\nfind_python || true"],
        env={"PATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    )

    assert Path(found.stdout.strip()).name == chosen
