"""Ruff and mypy look at everything, with the rules of security on, and would say what they see."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]
SETTINGS: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
PLANTED: Final = {
    "S102": "exec(given)",
    "S105": 'password = "correct horse"',  # pragma: allowlist secret
    "S301": "pickle.loads(given)",
    "S307": "eval(given)",
    "S311": "random.random()",
    "S324": "hashlib.md5(given)",
    "S501": 'httpx.get("https://a.example", verify=False)',
    "S506": "yaml.load(given)",
    "S602": "subprocess.run(given, shell=True)",
    "S608": 'tx.execute(f"SELECT * FROM people WHERE id = {given}")',
    "S701": "jinja2.Environment(autoescape=False)",
}


def told(*arguments: str, given: str = "") -> str:
    done = subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-m", "ruff", *arguments],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "", done.stderr
    return done.stdout


def committed() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],  # noqa: S607  whichever git there is
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.mark.parametrize("place", ["services/gateway/planted.py", "libs/common/planted.py"])
def test_what_is_planted_is_found(place: str) -> None:
    imports = "import hashlib, pickle, random, subprocess, httpx, jinja2, yaml"
    source = "\n".join([imports, *PLANTED.values(), ""])

    found = json.loads(
        told("check", "--output-format", "json", "--stdin-filename", place, "-", given=source)
    )

    assert set(PLANTED) <= {one["code"] for one in found}


def test_every_committed_file_is_looked_at() -> None:
    looked_at = {
        Path(name).relative_to(ROOT).as_posix()
        for name in told("check", ".", "--show-files").splitlines()
    }

    assert len(committed()) > 900
    assert committed() - looked_at == set()


def test_types_are_checked_strictly_wherever_there_is_python() -> None:
    folders = {name.partition("/")[0] for name in committed() if "/" in name}

    assert SETTINGS["mypy"]["strict"] is True
    assert folders == set(SETTINGS["mypy"]["files"])


def test_the_check_runs_each_of_them_on_everything() -> None:
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    for step in (
        "ruff check .\n",
        "bin/mypy\n",
        "deploy.checks.leaks\n",
        "deploy.checks.migrations\n",
        "deploy.checks.advisories",
    ):
        assert step in check
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert lock in check
    assert "|| true" not in check
    assert "@-" not in check
