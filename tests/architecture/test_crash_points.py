"""Every crash point stands in the product under a known name, and a fault test arms it."""

import ast
from collections import Counter

from libs.common.crash_points import POINTS
from tests.support.source import PRODUCT, files, nodes

ROLES = ("gateway", "executor", "accounts", "billing")


def calls(folder: str, function: str) -> list[ast.Call]:
    """Every call of a function by its bare name or as an attribute of something."""
    return [
        node
        for path in files(folder)
        for node in nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == function
    ]


def named_in_fault_tests() -> set[str]:
    return {
        node.value.partition(":")[0]
        for path in files("tests/faults")
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_each_point_stands_in_one_place_and_no_place_has_another_name() -> None:
    reached = Counter(
        ast.literal_eval(call.args[0])
        for folder in PRODUCT
        for call in calls(folder, "crash_point")
    )

    assert reached == Counter(list(POINTS))


def test_a_fault_test_names_each_point() -> None:
    assert set(POINTS) - named_in_fault_tests() == set()


def test_every_service_looks_whether_one_is_armed() -> None:
    unarmed = [role for role in ROLES if not calls(f"services/{role}", "arm")]

    assert unarmed == []
