"""Content as a page shows it: JSON indented where that is cheap, anything else as it came, cut.

Whoever wrote it may mean harm: indented, a body grows by twice its depth for each line, and what is
made here is made in the process that answers gateways. So what is long or deep is not indented.
"""

import json
import re
from typing import Final

INDENTED_BYTES: Final = 64 * 1024
INDENTED_DEPTH: Final = 32
SHOWN: Final = 256 * 1024
"""Characters."""

_BRACKETS: Final = re.compile(rb"[\[\]{}]")


def readable(body: bytes | None) -> str | None:
    """At most SHOWN characters of it, and how many more there are."""
    if body is None:
        return None
    text = _indented(body) or body[: 4 * SHOWN].decode(errors="replace")
    if len(text) <= SHOWN and len(body) <= 4 * SHOWN:
        return text
    return (
        f"{text[:SHOWN]}\n… This is the beginning; all {len(body):,} bytes are in the API's answer."
    )


def _indented(body: bytes) -> str | None:
    """None where it is no JSON, or too much of it."""
    if len(body) > INDENTED_BYTES or _depth(body) > INDENTED_DEPTH:
        return None
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    # Half of a pair, which is legal in JSON (`"\ud83d"`) and in no page, stays as it was written.
    return text.encode(errors="backslashreplace").decode()


def _depth(body: bytes) -> int:
    """Brackets in texts count as well: what is too deep by them is shown as it came."""
    deepest = depth = 0
    for bracket in _BRACKETS.finditer(body):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
