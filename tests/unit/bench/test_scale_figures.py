import msgspec

from bench.scale.__main__ import Scale, judge
from bench.scale.costs import VERBS


def beside(rows: int, **buffers: float) -> Scale:
    each = {**dict.fromkeys(VERBS, 10.0), **buffers}
    alone = dict.fromkeys(VERBS, 40.0)
    return Scale(rows=rows, buffers=each, alone=alone, database_bytes=1, minutes=1)


def failed(*made: Scale) -> list[str]:
    return [gate.name.partition(" of a request,")[0] for gate in judge(made) if not gate.is_passed]


def test_a_deeper_index_passes() -> None:
    assert failed(beside(10), beside(10_000_000, accept=13, look=15)) == []


def test_the_fewest_rows_are_compared_with_the_most() -> None:
    assert failed(beside(10), beside(100, claim=900), beside(1_000)) == []


def test_beside_the_most_rows_the_worse_plans_count() -> None:
    early, new = beside(1_000, claim=90), beside(1_000)

    assert failed(beside(10), early, new) == ["shared buffers", "claim"]
    assert failed(beside(10), new, early) == ["shared buffers", "claim"]


def test_a_scan_fails() -> None:
    assert failed(beside(10), beside(1_000, claim=90)) == ["shared buffers", "claim"]


def test_a_little_more_everywhere_fails_although_no_verb_does() -> None:
    more = dict.fromkeys(VERBS, 14.0)

    assert failed(beside(10), beside(1_000, **more)) == ["shared buffers"]


def test_requests_alone_are_judged_by_themselves() -> None:
    many = beside(1_000)
    scanning = msgspec.structs.replace(many, alone={**many.alone, "look": 400.0})

    assert [gate.name for gate in judge([beside(10), scanning]) if not gate.is_passed] == [
        "shared buffers of a request alone, 1,000 rows ÷ 10",
        "look of a request alone, 1,000 rows ÷ 10",
    ]
