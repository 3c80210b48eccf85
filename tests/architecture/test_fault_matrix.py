"""Every known fault is inflicted by a test, or it is said why not."""

import ast
from collections import defaultdict

from tests.faults.matrix import FAULTS, LEFT_OUT
from tests.support.source import files, name, nodes

MARK = "pytest.mark.fault"


def inflicted() -> dict[int, set[str]]:
    """Which tests are marked with each fault."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in files("tests"):
        if MARK not in path.read_text():
            continue  # parsing them all takes seconds
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK:
                for number in node.args:
                    found[ast.literal_eval(number)].add(name(path))
    return found


def test_every_fault_is_inflicted_or_left_out_for_a_reason() -> None:
    tested = set(inflicted())

    assert set(FAULTS) - tested - set(LEFT_OUT) == set()


def test_no_mark_and_no_reason_is_out_of_date() -> None:
    tested = set(inflicted())

    assert tested - set(FAULTS) == set()
    assert tested & set(LEFT_OUT) == set()
    assert set(LEFT_OUT) - set(FAULTS) == set()
