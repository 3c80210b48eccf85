"""Logs: one JSON object a line on stdout, with an allow-list of fields.

A field that is not on the list is dropped and its *name* is kept under `dropped`, so that nobody
can put a prompt, an answer or a key into a line by mistake, and a forgotten field is still noticed.
An exception is logged as its types and code locations: its text may quote what it was working on.
"""

import io
import logging
import os
import select
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO, cast

import structlog
from prometheus_client import Counter

ALLOWED: Final = frozenset(
    {
        # which thing
        "request_id", "attempt", "fence", "project_id", "account_id", "key_id", "connection_id",
        "event_id", "message_id", "queue", "exchange", "routing_key", "outbox_id",
        "http_request_id",
        "executor", "process", "channel", "database", "migration", "address",
        # in what state
        "state", "mode", "outcome", "error_code", "rule", "endpoint", "status_code", "method",
        "route", "signal", "sqlstate", "kind", "is_ready", "issuer", "audience", "reason",
        # how many, how long
        "count", "attempts", "size", "bytes", "seconds", "milliseconds", "depth", "drift", "pause",
        "crash_count", "delivery_count", "port", "pid", "version", "limit", "places", "slots",
        # added by this module
        "event", "level", "timestamp", "service", "module", "error", "trace", "dropped",
    }
)  # fmt: skip

SERVER_LOG_RECORDED: Final = "server_log_recorded"

LINES_LOST: Final = Counter(
    "reqrun_log_lines_lost_total", "Log lines that stdout did not take: unread, or its disk is full"
)

_MAX_FRAMES: Final = 12
# A pipe that says it has room has room for so much at once (POSIX).
_PIECE: Final = select.PIPE_BUF


class Outlet:
    """Where lines go. None holds up or fails the work that logs it: what is not taken is lost.

    A pipe that nobody reads would block the event loop, and with it every caller.
    """

    def __init__(self, file: TextIO) -> None:
        """`file`: one without a descriptor is simply written to."""
        self._file, self._descriptor = file, _descriptor(file)
        self._room = select.poll()
        if self._descriptor is not None:
            self._room.register(self._descriptor, select.POLLOUT)

    def write(self, text: str) -> int:
        """Write one line, or lose it (or the end of a long one) and count that."""
        if self._descriptor is None:
            return self._file.write(text)
        left = text.encode()
        try:
            while left and self._has_room():
                left = left[os.write(self._descriptor, left[:_PIECE]) :]
        except OSError:
            LINES_LOST.inc()
        else:
            LINES_LOST.inc(bool(left))
        return len(text)

    def flush(self) -> None:
        """Nothing is kept here."""

    def _has_room(self) -> bool:
        return any(happened & select.POLLOUT for _, happened in self._room.poll(0))


def _descriptor(file: TextIO) -> int | None:
    try:
        return file.fileno()
    except io.UnsupportedOperation:
        return None


# One list for good: loggers keep it from their first use on, whatever is configured later.
_processors: Final[list[structlog.typing.Processor]] = []


def configure(service: str, level: str = "info") -> None:
    """Set the process up to log as `service`; also routes the standard library's logging here."""
    _processors[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _describe_exception,
        _keep_allowed,
        structlog.processors.JSONRenderer(sort_keys=True),
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Outlet(sys.stdout))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module: `log = logs.get(__name__)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class _Forward(logging.Handler):
    """Libraries' log records, without their text: it may quote a URL, a statement or a body."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get(record.name)
        log.log(
            record.levelno,
            SERVER_LOG_RECORDED,
            trace=f"{record.module}:{record.lineno}",
            exc_info=record.exc_info,
        )


def _add_service(service: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def _describe_exception(
    _: Any, __: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info if isinstance(info, BaseException) else info[1] if info else None
    if error is not None:
        event["error"] = " <- ".join(_types(error))
        event["trace"] = _frames(error.__traceback__)
    return event


def _types(error: BaseException | None) -> list[str]:
    names: list[str] = []
    while error is not None and len(names) < _MAX_FRAMES:
        names.append(type(error).__qualname__)
        error = error.__cause__ or error.__context__
    return names


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-_MAX_FRAMES:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(path: str) -> str:
    """The part of a path that names our code or a library, not somebody's machine."""
    for mark in ("site-packages/", "/services/", "/libs/", "/deploy/"):
        _, found, tail = path.rpartition(mark)
        if found:
            return mark.lstrip("/") + tail if mark != "site-packages/" else tail
    return path.rpartition("/")[2]


def _keep_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(name for name in event if name not in ALLOWED)
    for name in dropped:
        del event[name]
    if dropped:
        event["dropped"] = dropped
    return event
