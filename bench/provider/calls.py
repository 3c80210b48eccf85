"""How many calls a provider has answered, by its own counter (nginx's stub_status)."""

import re
from urllib.request import urlopen

_REQUESTS = re.compile(r"^ \d+ \d+ (\d+)", re.MULTILINE)


class Calls:
    """Of one provider, without our looks at its counter."""

    def __init__(self, port: int) -> None:
        """None so far."""
        self._address = f"http://127.0.0.1:{port}/status"
        self._looks = 0

    def count(self) -> int:
        """So far. ValueError when it tells nothing."""
        self._looks += 1
        with urlopen(self._address, timeout=5) as answer:  # noqa: S310  http, our own address
            found = _REQUESTS.search(answer.read().decode())
        if found is None:
            raise ValueError("the provider told no status")
        return int(found.group(1)) - self._looks
