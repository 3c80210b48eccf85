"""The simulator's memory: which calls came, and how often a request has been seen.

The call log is the witness of the fault tests: what a provider really received, to be compared with
what the ledger believes. It never holds a prompt or a key. Both memories are bounded.
"""

from collections import OrderedDict, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

MAX_CALLS: Final = 50_000
MAX_REQUESTS: Final = 50_000
_MAX_CHARS: Final = 256

_ENCODE: Final = msgspec.json.Encoder().encode


class Call(msgspec.Struct):
    """One call. `status_code` is None while it runs, and for one that never got an answer.

    `ended`: `answered`, `cut` by script, or `left` by the client; None while it runs.
    """

    number: int
    client_request_id: str
    model: str
    started_at: datetime
    finished_at: datetime | None = None
    status_code: int | None = None
    ended: str | None = None


class CallLog:
    """Calls in order of arrival; with a path, also a file of one JSON line per start and per end.

    Each line is flushed as it is written, so that it outlives a kill of this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Append to `path` if there is one; raises OSError if it cannot be written."""
        self._calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._number = 0
        self._file = path.open("ab", buffering=0) if path else None

    def start(self, client_request_id: str, model: str) -> Call:
        """A call has come, and nothing was done about it yet."""
        self._number += 1
        call = Call(
            number=self._number,
            client_request_id=client_request_id[:_MAX_CHARS],
            model=model[:_MAX_CHARS],
            started_at=datetime.now(UTC),
        )
        self._calls.append(call)
        self._append("start", call)
        return call

    def end(self, call: Call, ended: str, status_code: int | None = None) -> None:
        """A call is over, as the simulator sees it."""
        call.finished_at = datetime.now(UTC)
        call.ended = ended
        call.status_code = status_code
        self._append("end", call)

    def all(self) -> list[Call]:
        """The last calls, oldest first."""
        return list(self._calls)

    def forget(self) -> None:
        """Drop the calls in memory; the file and the numbering go on."""
        self._calls.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _append(self, event: str, call: Call) -> None:
        if self._file:
            line: dict[str, Any] = {"event": event, **msgspec.structs.asdict(call)}
            self._file.write(_ENCODE(line) + b"\n")


class Sightings:
    """How often each request has been called, for scripts such as `sim-429-twice`."""

    def __init__(self) -> None:
        """Nothing seen."""
        self._counts: OrderedDict[str, int] = OrderedDict()

    def count(self, request: str) -> int:
        """See `request` once more; 1 the first time. The ones longest unseen are forgotten."""
        seen = self._counts.pop(request, 0) + 1
        self._counts[request] = seen
        if len(self._counts) > MAX_REQUESTS:
            self._counts.popitem(last=False)
        return seen

    def forget(self, request: str | None = None) -> None:
        """Forget one request, or all."""
        if request is None:
            self._counts.clear()
        else:
            self._counts.pop(request, None)
