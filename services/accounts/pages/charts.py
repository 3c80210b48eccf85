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
    shape = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}')
    return shape.format(_WIDTH, _HEIGHT, name, Markup("").join(drawn), _in_words(bars))


def meter(share: float, name: str) -> Markup:
    """How full something is. `share`: 0 to 1."""
    shape = Markup(
        '<svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect width="{}" height="4"/></svg>'
    )
    return shape.format(name, round(min(max(share, 0.0), 1.0) * 100, 1))


def _bar(bar: Bar, x: float, width: float, top: float) -> Markup:
    space, foot, rects = _HEIGHT - _BOTTOM - _TOP, float(_HEIGHT - _BOTTOM), []
    shape = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    for series, value in zip("abcde", bar.parts, strict=False):
        height = value / top * space
        foot -= height
        if value:
            at = x + width * _GAP / 2
            rects.append(shape.format(series, at, foot, width * (1 - _GAP), max(height, 1)))
    # A target over the whole height: small bars are hard to hit.
    rects.append(
        Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill="transparent"/>').format(
            x, _TOP, width, space
        )
    )
    return Markup('<g class="bar"><title>{}</title>{}</g>').format(
        bar.title, Markup("").join(rects)
    )


def _in_words(bars: Sequence[Bar]) -> Markup:
    """The same for who does not see it, or wants the numbers."""
    lines = [Markup("<li>{}</li>").format(bar.title) for bar in bars if any(bar.parts)]
    shape = '<details class="small soft"><summary>In words</summary><ul>{}</ul></details>'
    return Markup(shape).format(Markup("").join(lines or [Markup("<li>Nothing yet.</li>")]))  # noqa: S704  # constant


def _grid(top: float, unit: str) -> Markup:
    space, lines = _HEIGHT - _BOTTOM - _TOP, []
    line = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - share * space
        lines.append(line.format(_LEFT, _WIDTH, y, _LEFT - 6, y + 4, _short(top * share) + unit))
    return Markup("").join(lines)


def _labels(bars: Sequence[Bar], width: float) -> Markup:
    every = max(1, -(-len(bars) // _MOST_LABELS))
    shape = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    shown = [
        shape.format(_LEFT + (at + 0.5) * width, _HEIGHT - 6, escape(bar.label))
        for at, bar in enumerate(bars)
        if at % every == 0
    ]
    return Markup("").join(shown)


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
