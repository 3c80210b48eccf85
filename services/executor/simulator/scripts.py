"""What a model's name makes the simulator do: pure, and the whole list.

| model | behaviour |
|---|---|
| `sim-slow-<n>ms` | answers after n milliseconds, an hour at most |
| `sim-<status>-always` | always answers with that error, 400 to 599 |
| `sim-<status>-once`, `-twice`, `-<k>times` | does so the first k times per request, then answers |
| `sim-400` | the same as `sim-400-always` |
| `sim-quota` | 429 `insufficient_quota`, which no wait mends |
| `sim-timeout` | takes the request and never answers |
| `sim-cut` | ends the connection in the middle of the answer |
| `sim-garbage` | answers 200 with something that is not JSON |
| `sim-ok` and every other name | answers |
"""

import re
from typing import Final, Literal

import msgspec

MAX_DELAY_MS: Final = 3_600_000
MODELS: Final = (
    "sim-ok",
    "sim-slow-2000ms",
    "sim-429-twice",
    "sim-500-always",
    "sim-timeout",
    "sim-cut",
    "sim-400",
    "sim-quota",
    "sim-garbage",
)
"""What `GET /v1/models` lists: one example of each."""

Act = Literal["answer", "fail", "quota", "hang", "cut", "garbage"]

_ALWAYS: Final = 2**31
_SLOW: Final = re.compile(r"sim-slow-([0-9]{1,7})ms")
_FAILING: Final = re.compile(r"sim-([45][0-9]{2})(?:-(always|once|twice|([0-9]{1,6})times))?")
_WORDS: Final = {None: _ALWAYS, "always": _ALWAYS, "once": 1, "twice": 2}
_ACTS: Final[dict[str, Act]] = {
    "sim-timeout": "hang",
    "sim-cut": "cut",
    "sim-quota": "quota",
    "sim-garbage": "garbage",
}


class Script(msgspec.Struct, frozen=True):
    """Do `act` for the first `times` calls of one request, then answer; always wait `delay_ms`."""

    act: Act = "answer"
    times: int = _ALWAYS
    status_code: int = 200
    delay_ms: int = 0


def script_of(model: str) -> Script:
    """The behaviour that `model` asks for."""
    slow = _SLOW.fullmatch(model)
    if slow:
        return Script(delay_ms=min(int(slow[1]), MAX_DELAY_MS))
    failing = _FAILING.fullmatch(model)
    if failing:
        times = int(failing[3]) if failing[3] else _WORDS[failing[2]]
        return Script(act="fail", times=times, status_code=int(failing[1]))
    return Script(act=_ACTS.get(model, "answer"))
