"""The ledger against a model of it: hypothesis plays everybody at once, the real SQL answers.

A hint is only an id, so one that is dropped is never delivered, and one that is doubled, late or
made up is a delivery at any other time. An executor that died never uses its claim again; a zombie
uses it when others have long taken over. Whatever was done: at the end everything that is still
open must come to its end, by the dispatcher's steps and an executor that works.
"""

import asyncio
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.ledger_machine import LedgerMachine
from tests.support.ledgers import bench


def play(url: str, examples: int, steps: int, **how: Any) -> None:
    """Every connection lives on one loop of this test's own: the machine itself is not async."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        opened = bench(url)
        ledger = runner.run(opened.__aenter__())
        try:
            run_state_machine_as_test(
                partial(LedgerMachine, ledger, runner),  # type: ignore[arg-type]  # any maker will do
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                    **how,
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.mark.timeout(420)  # a failure is shrunk before it is told
def test_the_ledger_does_what_its_model_does(ledger_url: str) -> None:
    play(ledger_url, examples=40, steps=40, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_ledger_does_what_its_model_does_for_long(ledger_url: str) -> None:
    """Other examples each time; one that fails is printed as the steps to it."""
    play(ledger_url, examples=300, steps=60)
