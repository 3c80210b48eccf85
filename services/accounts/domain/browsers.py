"""What a browser calls itself, made short enough for people."""

from typing import Final

LONGEST: Final = 200
"""Characters of it that are kept."""

_UNKNOWN: Final = "An unknown browser"
# Most of them name others as well, for old times' sake: the first that fits is meant.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def clean(agent: str) -> str:
    """What may be kept of it: no control characters, not too long."""
    return "".join(character for character in agent if character.isprintable())[:LONGEST]


def describe(agent: str) -> str:
    """`Firefox on Linux`: words of ours alone, so that it is safe in any page and any mail."""
    browser = _first(_BROWSERS, agent)
    system = _first(_SYSTEMS, agent)
    if browser is None:
        return _UNKNOWN if system is None else f"{_UNKNOWN} on {system}"
    return browser if system is None else f"{browser} on {system}"


def _first(marks: tuple[tuple[str, str], ...], agent: str) -> str | None:
    return next((name for mark, name in marks if mark in agent), None)
