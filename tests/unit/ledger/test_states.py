import pytest

from libs.ledger.states import FINAL, NEXT, State, can_move


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_never_changes(state: State) -> None:
    assert not any(can_move(state, other) for other in State)


def test_every_state_has_its_row() -> None:
    assert set(NEXT) == set(State)


def test_every_state_that_is_not_final_can_end_in_failure_and_cancellation() -> None:
    for state in set(State) - FINAL:
        assert can_move(state, State.FAILED)
        assert can_move(state, State.CANCELLED)


def test_only_a_claim_leads_to_processing() -> None:
    leading = {state for state in State if can_move(state, State.PROCESSING)}

    assert leading == {State.QUEUED, State.RETRYING}
