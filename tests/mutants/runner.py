"""Make each mutant in a copy of the tree, and see which tests notice."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.mutants.mutant import ROOT, Mutant

PASSED: Final = 0
"""pytest's exit code."""

_LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "node_modules")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    DOES_NOT_APPLY = "DOES NOT APPLY"
    NOT_RUN = "NOT RUN"
    """Its tests could not be run, so that nothing is known."""


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy to break; the checkout is never touched. What the running tests need comes along."""
    with tempfile.TemporaryDirectory(prefix="reqrun-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)
        yield tree


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code, and its last words."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join((str(tree), str(tree / "clients" / "python")))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def try_one(tree: Path, mutant: Mutant) -> Fate:
    """Break the tree, run the killers, mend it."""
    if not mutant.applies(tree):
        return Fate.DOES_NOT_APPLY
    before = mutant.apply(tree)
    try:
        code, output = run_tests(tree, mutant.killers)
    finally:
        (tree / mutant.path).write_text(before)
    if code == PASSED:
        return Fate.SURVIVED
    # Not by its exit code: that is the same where a server did not start.
    return Fate.KILLED if "\nFAILED " in output else Fate.NOT_RUN
