"""Bar charts as SVG that the server draws: they need no script, and print and zoom well.

No library: those that draw in the browser show nothing without scripts, and those that draw here
write inline styles, which our content policy forbids (decision 0020).
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from markupsafe import Markup, escape

_WIDTH: Final = 480
_HEIGHT: Final = 170
_LEFT: Final = 44
_BOTTOM: Final = 22
_TOP: Final = 8
_GAP: Final = 0.22
_MOST_LABELS: Final = 6
_NARROW: Final = ' class="every-other"'
"""Of a label that is left out where there is little room."""
_NICE: Final = (1, 2, 2.5, 5, 10)


class Bar(msgspec.Struct, frozen=True):
    """One step. `label`: under it. `title`: for who points at it. `parts`: one a series."""

    label: str
    title: str
    parts: Sequence[float]


def stacked(bars: Sequence[Bar], *, unit: str, name: str) -> Markup:
    """The chart; series take the classes a, b, c … of the style sheet. `name`: what it shows."""
    top = _nice_above(max((sum(bar.parts) for bar in bars), default=0.0))
    width = (_WIDTH - _LEFT) / max(len(bars), 1)
    drawn = [
        _grid(top, unit),
        *(_bar(bar, _LEFT + at * width, width, top) for at, bar in enumerate(bars)),
        _labels(bars, width),
    ]
    shape = (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{escape(name)}">{"".join(drawn)}</svg>{_in_words(bars)}'
    )
    return Markup(shape)  # noqa: S704  # of numbers, and of texts that are escaped


def meter(share: float, name: str) -> Markup:
    """How full something is. `share`: 0 to 1."""
    shape = Markup(
        '<svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect width="{}" height="4"/></svg>'
    )
    return shape.format(name, round(min(max(share, 0.0), 1.0) * 100, 1))


# Below is text that is marked as safe as a whole, once: a page has hundreds of these, and marking
# each took a third of its time. Whatever is no number is escaped.


def _bar(bar: Bar, x: float, width: float, top: float) -> str:
    space, foot, rects = _HEIGHT - _BOTTOM - _TOP, float(_HEIGHT - _BOTTOM), []
    left, wide = x + width * _GAP / 2, width * (1 - _GAP)
    for series, value in zip("abcde", bar.parts, strict=False):
        height = value / top * space
        foot -= height
        if value:
            rects.append(
                f'<rect class="{series}" x="{left:.1f}" y="{foot:.1f}" width="{wide:.1f}"'
                f' height="{max(height, 1):.1f}"/>'
            )
    # A target over the whole height: small bars are hard to hit.
    rects.append(
        f'<rect x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{space}" fill="transparent"/>'
    )
    return f'<g class="bar"><title>{escape(bar.title)}</title>{"".join(rects)}</g>'


def _in_words(bars: Sequence[Bar]) -> str:
    """The same for who does not see it, or wants the numbers."""
    lines = [f"<li>{escape(bar.title)}</li>" for bar in bars if any(bar.parts)]
    told = "".join(lines) or "<li>Nothing yet.</li>"
    return f'<details class="small soft"><summary>In words</summary><ul>{told}</ul></details>'


def _grid(top: float, unit: str) -> str:
    space, lines = _HEIGHT - _BOTTOM - _TOP, []
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - share * space
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(_short(top * share) + unit)}</text>"
        )
    return "".join(lines)


def _labels(bars: Sequence[Bar], width: float) -> str:
    every = max(1, -(-len(bars) // _MOST_LABELS))
    shown = [
        f'<text x="{_LEFT + (at + 0.5) * width:.1f}" y="{_HEIGHT - 4}" text-anchor="middle"'
        f"{_NARROW if at // every % 2 else ''}>{escape(bar.label)}</text>"
        for at, bar in enumerate(bars)
        if at % every == 0
    ]
    return "".join(shown)


def _nice_above(value: float) -> float:
    """The least round number that is not below `value`."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in _NICE if power * step >= value)


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
