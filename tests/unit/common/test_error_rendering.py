import pytest

from libs.common.errors import AppError, Unavailable
from libs.common.web.errors import render
from services.accounts.domain import errors as accounts
from services.gateway.domain import errors as gateway


@pytest.mark.parametrize(
    "error", [gateway.ContentUnreadable(), gateway.ModelsAway(), Unavailable("x")]
)
def test_whatever_is_unavailable_says_when_to_try_again(error: Unavailable) -> None:
    status, _, headers = render(error)

    assert status == 503
    assert int(headers["retry-after"]) >= 1


def test_what_time_does_not_heal_says_nothing_of_it() -> None:
    errors: list[AppError] = [gateway.InvalidApiKey(), accounts.SealsBroken("x")]

    assert all("retry-after" not in render(error)[2] for error in errors)
