"""Somebody who signs up and uses the dashboard, as a browser without scripts does."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any, Final, Self

import httpx2

from deploy.local.programs import ProgramFailed

PASSWORD: Final = "rusty-canary-flies-45"  # noqa: S105  # of somebody who is made up
_HIDDEN: Final = re.compile(r'<input type="hidden" name="(form_token|once)" value="([^"]*)"')
_PROJECT: Final = re.compile(r"/projects/(prj_[0-9a-z]+)")
_LINK: Final = re.compile(r"/verify\?token=[\w-]+")
_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1


class Customer:
    """Logged in. `email`: theirs. `client`: keeps their cookies."""

    def __init__(self, dashboard_url: str, mail_url: str) -> None:
        """Sign up, verify, log in."""
        self.email = f"bench-{secrets.token_hex(4)}@example.org"
        self.client = httpx2.Client(base_url=dashboard_url, timeout=60, trust_env=False)
        self._mail_url = mail_url
        self._sign_up()
        link = self._link()
        self.send(link, "/verify", token=link.partition("token=")[2])
        self.send("/log-in", email=self.email, password=PASSWORD)

    def __enter__(self) -> Self:
        """Close the connections at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""
        self.client.close()

    def make_project(self, name: str) -> str:
        """A new one; its id."""
        found = _PROJECT.search(self.send("/projects", name=name).headers["location"])
        if found is None:
            raise ProgramFailed("the dashboard made no project")
        return found[1]

    def make_key(self, project: str, mode: str) -> str:
        """A new API key for one's own code."""
        path = f"/projects/{project}/keys"
        page = self.send(path, name=mode, mode=mode, purpose="own_code").text
        found = re.search(r'id="new-key"[^>]*>([^<]+)<', page)
        if found is None:
            raise ProgramFailed("the dashboard made no key")
        return unescape(found[1])

    @contextmanager
    def stream(self, page: str, action: str, **fields: str) -> Iterator[httpx2.Response]:
        """The same, for an answer that comes bit by bit."""
        sent = {**self._hidden(page), **fields}
        with self.client.stream("POST", action, data=sent) as answer:
            if answer.is_error:
                raise ProgramFailed(f"the dashboard did not take the form on {page}")
            yield answer

    def send(self, page: str, action: str | None = None, **fields: str) -> httpx2.Response:
        """Fill in the form on a page. ProgramFailed where it is not taken."""
        answer = self.client.post(action or page, data={**self._hidden(page), **fields})
        if answer.is_error:
            raise ProgramFailed(f"the dashboard did not take the form on {page}")
        return answer

    def _hidden(self, page: str) -> dict[str, str]:
        return dict(_HIDDEN.findall(self.client.get(page).text))

    def _sign_up(self) -> None:
        self.send(
            "/sign-up",
            name="Bench",
            email=self.email,
            password=PASSWORD,
            company="",
            country="GB",
            has_accepted="yes",
        )

    def _link(self) -> str:
        """Out of their mail."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = httpx2.get(f"{self._mail_url}/mails.json?to={self.email}", trust_env=False)
            mails: list[dict[str, Any]] = answer.json()
            for mail in mails:
                if found := _LINK.search(mail["text"]):
                    return found[0]
            time.sleep(_LOOK_SECONDS)
        raise ProgramFailed("no mail came to who signed up")
