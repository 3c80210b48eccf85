"""Reading one answer off the wire, trusting neither its form nor its size.

llhttp (httptools) parses it, strictly: what leaves in doubt where an answer ends is no answer, for
the doubt would be settled with another customer's bytes. What llhttp lets pass and we do not stands
here (decision 0030). Nothing is kept beyond the caps, so that there is no need to hold the provider
back.
"""

from enum import Enum
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from services.executor.adapters.provider.bodies import Body
from services.executor.domain.calls import USED_HEADERS, Answer, CallFailure, FailureKind

MAX_ERROR_BYTES: Final = 64 * 1024
"""Of an answer that is not 2xx, this much is read; the rest is left unread."""

MAX_BARREN_BYTES: Final = 128 * 1024
"""So much may come without a byte of body: heads, interim answers, chunk extensions, trailers.

Counted by pieces as they come from the socket, which have 256 kB at most: more than both together
is refused however it is cut.
"""

_OPENING: Final = b"HTTP/1."
_USED: Final = {name.encode("ascii"): name for name in USED_HEADERS}
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

_FIRST_INTERIM: Final = 100
_FIRST_FINAL: Final = 200


class _Ending(Enum):
    """Why no more is read."""

    WHOLE = "read to its end"
    LEFT = "enough was seen"
    BROKEN = "cut short, or not HTTP"


class _Stop(Exception):
    """Ends the parsing from inside a callback."""


class AnswerReader:
    """One answer, fed as it comes. The methods `on_…` are for the parser.

    `can_be_followed`: the connection may carry another call, for this answer was read to its end,
    nothing came behind it, and the provider did not say otherwise.
    """

    def __init__(self, max_answer_bytes: int) -> None:
        """`max_answer_bytes`: of a 2xx, decoded."""
        self.can_be_followed = False
        self._max_answer_bytes = max_answer_bytes
        self._opening = b""
        self._barren_bytes = 0
        self._status = 0
        self._fields: dict[bytes, bytes] = {}
        self._body: Body | None = None
        self._ending: _Ending | None = None
        self._parser = HttpResponseParser(self)
        # Old servers pad the size of a chunk with blanks; nothing can hide in them.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is wanted, for better or worse."""
        return self._ending is not None

    @property
    def answer(self) -> Answer | CallFailure:
        """What was read. CUT until it is over."""
        if self._body is None or self._ending is None or self._ending is _Ending.BROKEN:
            return CallFailure(FailureKind.CUT, was_sent=True)
        if self._body.is_too_large and self._is_success:
            return CallFailure(FailureKind.TOO_LARGE, was_sent=True)
        fields = self._fields
        used = {name: fields[raw].decode("latin-1") for raw, name in _USED.items() if raw in fields}
        return Answer(self._status, used, self._body.content)

    def feed(self, data: bytes) -> None:
        """Read on. What comes after the end is not read, and remembered as having come."""
        if self._ending:
            self.can_be_followed = False
        elif len(self._opening) < len(_OPENING) and not self._opens_as_http(data):
            self._end(_Ending.BROKEN)
        else:
            self._parse(data)

    def close(self, *, is_orderly: bool) -> None:
        """No more will come; `is_orderly`: because the provider said so. Some answers end so."""
        if not self._ending:
            ends_so = is_orderly and self._body is not None and not self._has_framing
            self._end(_Ending.WHOLE if ends_so else _Ending.BROKEN)

    def on_message_begin(self) -> None:
        """Only interim answers (100, 103) have one behind them."""
        if self._ending:
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of a repeated header, the first counts. Trailers do not."""
        if self._body:
            return
        field = name.lower()
        if field == b"transfer-encoding":
            self._require(field not in self._fields and value.strip().lower() == b"chunked")
        self._fields.setdefault(field, value.strip())

    def on_headers_complete(self) -> None:
        """An interim answer has no body. Of those that change the protocol, llhttp reads none."""
        self._status = self._parser.get_status_code()
        if self._status >= _FIRST_FINAL:
            limit = self._max_answer_bytes if self._is_success else MAX_ERROR_BYTES
            self._body = Body(self._fields.get(b"content-encoding", b""), limit)
        else:
            self._require(self._status >= _FIRST_INTERIM and not self._has_framing)

    def on_body(self, chunk: bytes) -> None:
        """Once there is no use in more, the rest is left unread."""
        self._barren_bytes = 0
        if self._body and not self._body.add(chunk):
            self._stop(_Ending.LEFT)

    def on_message_complete(self) -> None:
        """HTTP/1.0 is never asked a second time, whatever it says about that."""
        if self._body is None:
            self._fields.clear()
            return
        is_kept = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        self.can_be_followed = is_kept
        self._end(_Ending.WHOLE)

    @property
    def _is_success(self) -> bool:
        return self._status // 100 == 2  # noqa: PLR2004 - "2xx" is the name of the class

    @property
    def _has_framing(self) -> bool:
        return not _FRAMING.isdisjoint(self._fields)

    def _opens_as_http(self, data: bytes) -> bool:
        """Left alone, the parser would skip empty lines, and read Icecast and RTSP."""
        self._opening += data[: len(_OPENING) - len(self._opening)]
        return _OPENING.startswith(self._opening)

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        self._barren_bytes += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.can_be_followed = False
            if not self._ending:
                self._end(_Ending.BROKEN)
        if self._barren_bytes > MAX_BARREN_BYTES and not self._ending:
            self._end(_Ending.BROKEN)

    def _require(self, is_met: bool) -> None:
        if not is_met:
            self._stop(_Ending.BROKEN)

    def _stop(self, ending: _Ending) -> None:
        self._end(ending)
        raise _Stop

    def _end(self, ending: _Ending) -> None:
        """The parser holds us and we hold it: let go, or the answer waits for the collector."""
        self._ending = ending
        del self._parser
