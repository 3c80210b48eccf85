"""Lines over categories, on a logarithmic scale."""

import math
from collections.abc import Mapping, Sequence

from bench.drawing import svg

_LEFT = 60.0
_TOP = 66.0
_HEIGHT = 260.0

Point = tuple[float, float]


class _Scale:
    """From categories and values to places."""

    def __init__(self, categories: Sequence[str], values: Sequence[float]) -> None:
        self._step = (svg.WIDTH - _LEFT) / max(len(categories), 1)
        self.first = math.floor(math.log10(min(values, default=1)))
        self.last = max(math.ceil(math.log10(max(values, default=10))), self.first + 1)

    def x(self, category: int) -> float:
        return _LEFT + self._step * (category + 0.5)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return _TOP + _HEIGHT * (1 - share)


def lines(
    title: str, unit: str, categories: Sequence[str], series: Mapping[str, Sequence[float]]
) -> str:
    """A line a series, with a value a category; what is not above nought is left out."""
    values = [value for line in series.values() for value in line if value > 0]
    scale = _Scale(categories, values)
    parts = [svg.legend(42, list(series)), *_axes(scale, unit, categories)]
    for number, line in enumerate(series.values()):
        points = [(scale.x(n), scale.y(value)) for n, value in enumerate(line) if value > 0]
        parts.append(svg.path(points, number))
    return svg.picture(title, _TOP + _HEIGHT + 30, parts)


def _axes(scale: _Scale, unit: str, categories: Sequence[str]) -> list[str]:
    parts = []
    for power in range(scale.first, scale.last + 1):
        y = scale.y(10.0**power)
        label = f"{10.0**power:g}{unit}"
        parts += [
            svg.rule((_LEFT, y), (svg.WIDTH, y)),
            svg.text((_LEFT - 8, y + 4), label, kind="faint", anchor="end"),
        ]
    bottom = _TOP + _HEIGHT + 20
    parts += [
        svg.text((scale.x(n), bottom), name, kind="faint", anchor="middle")
        for n, name in enumerate(categories)
    ]
    return parts
