"""Lying bars: one value a row, or several stacked."""

from collections.abc import Mapping, Sequence

from bench.drawing import svg

_LABEL = 300.0
_ROW = 22.0
_TOP = 34.0
_VALUE = 76.0


def bars(title: str, unit: str, groups: Sequence[Mapping[str, float]]) -> str:
    """A bar for each value; groups stand apart, and each has a scale of its own.

    The first of a group is ours and has a colour of its own.
    """
    parts: list[str] = []
    y = _TOP
    for group in groups:
        most = max(group.values(), default=0) or 1
        for number, (name, value) in enumerate(group.items()):
            width = value / most * (svg.WIDTH - _LABEL - _VALUE)
            parts += _row(y, name, f"{value:,.0f}{unit}", width)
            parts.append(svg.box((_LABEL, y), (width, _ROW - 6), 0 if number == 0 else 6))
            y += _ROW
        y += _ROW / 2
    return svg.picture(title, y, parts)


def stacked(title: str, unit: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A bar for each row, made of its parts, with their sum at its end."""
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    parts = [svg.legend(_TOP + 8, kinds)]
    most = max((sum(row.values()) for row in rows.values()), default=0) or 1
    y = _TOP + _ROW
    for name, row in rows.items():
        x = _LABEL
        for kind, value in row.items():
            width = value / most * (svg.WIDTH - _LABEL - _VALUE)
            parts.append(svg.box((x, y), (width, _ROW - 6), kinds.index(kind)))
            x += width
        parts += _row(y, name, f"{sum(row.values()):.2f}{unit}", x - _LABEL)
        y += _ROW
    return svg.picture(title, y + _ROW / 2, parts)


def _row(y: float, name: str, value: str, width: float) -> list[str]:
    line = y + _ROW - 10
    return [
        svg.text((_LABEL - 8, line), name, anchor="end"),
        svg.text((_LABEL + width + 6, line), value, kind="faint"),
    ]
