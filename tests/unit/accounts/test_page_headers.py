"""What a browser is told with every page, and at the end of a session."""

from typing import Any, cast

import pytest

from services.accounts.pages import rendering
from services.accounts.pages.visits import Desk, Visit, safe_next

POLICY = rendering.headers(is_secure=False)["content-security-policy"]
# Made up: what a page needs of these is nothing where it only says what a browser has to forget.
NOTHING = cast("Any", None)


def desk(*, is_secure: bool) -> Desk:
    return Desk(
        ports=NOTHING,
        rendering=NOTHING,
        contacts=NOTHING,
        api_url="https://api.example",
        form_key=b"k" * 32,
        is_secure=is_secure,
        trusted=NOTHING,
    )


def visit(cookie: str = "t", *, is_secure: bool = True) -> Visit:
    return Visit(
        desk=desk(is_secure=is_secure),
        request=NOTHING,
        browser=NOTHING,
        held=None,
        debt=None,
        token=cookie,
        is_new=False,
    )


@pytest.mark.parametrize(
    "directive",
    [
        "default-src 'none'",  # covers objects, frames, fonts, media and workers
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ],
)
def test_the_content_policy_says(directive: str) -> None:
    assert directive in POLICY.split("; ")


def test_the_content_policy_opens_nothing_else() -> None:
    sources = {word for part in POLICY.split("; ") for word in part.split()[1:]}
    assert sources == {"'none'", "'self'"}


def test_a_page_is_not_guessed_at_not_told_of_not_kept_and_not_opened_by_others() -> None:
    headers = rendering.headers(is_secure=True)

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_over_https_a_browser_stays_with_it_for_a_year_and_more() -> None:
    hsts = rendering.headers(is_secure=True)["strict-transport-security"]
    age, *rest = hsts.split("; ")

    assert int(age.removeprefix("max-age=")) >= 365 * 24 * 3600
    assert rest == ["includeSubDomains"]
    assert "strict-transport-security" not in rendering.headers(is_secure=False)


def test_a_log_out_ends_the_cookie_and_clears_what_was_kept() -> None:
    answer = visit().log_out("/log-in")

    assert answer.headers["clear-site-data"] == '"cache"'
    (cookie,) = answer.cookies
    assert (cookie.key, cookie.value, cookie.max_age) == ("__Host-reqrun_session", "", 0)


def test_a_forms_token_is_of_one_session_alone() -> None:
    assert visit("one").form_token() == visit("one").form_token()
    assert visit("one").form_token() != visit("another").form_token()
    assert "one" not in visit("one").form_token()


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", "x", ""])
def test_a_way_on_is_a_path_of_ours(path: str) -> None:
    assert safe_next(path) == "/"
