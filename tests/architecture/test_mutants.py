"""The list of mutants does not rot: each still applies, and its killers are still there."""

import ast
from collections import Counter

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant
from tests.support.source import nodes


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_its_killers_exist(mutant: Mutant) -> None:
    assert mutant.applies(), f"not once in {mutant.path}: {mutant.text}"
    assert mutant.text != mutant.instead
    for killer in mutant.killers:
        path, _, name = killer.partition("::")
        tests = nodes(ROOT / path)
        names = {
            one.name for one in tests if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not name or name in names, killer


def test_no_two_mutants_have_one_name() -> None:
    assert [name for name, many in Counter(one.name for one in MUTANTS).items() if many > 1] == []
