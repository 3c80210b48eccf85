"""Just enough SVG: text, lines and boxes, coloured by class so that the page's theme decides."""

from collections.abc import Iterable, Sequence
from html import escape

WIDTH = 760
SERIES = 8
"""How many series have a colour of their own."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.faint { fill: #59636e }
.axis { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.c0 { fill: #0969da; stroke: #0969da } .c1 { fill: #bc4c00; stroke: #bc4c00 }
.c2 { fill: #1a7f37; stroke: #1a7f37 } .c3 { fill: #8250df; stroke: #8250df }
.c4 { fill: #bf3989; stroke: #bf3989 } .c5 { fill: #9a6700; stroke: #9a6700 }
.c6 { fill: #57606a; stroke: #57606a } .c7 { fill: #0a8a8a; stroke: #0a8a8a }
rect, circle { stroke: none !important }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .faint { fill: #9198a1 } .axis { stroke: #3d444d }
.c0 { fill: #4493f8; stroke: #4493f8 } .c1 { fill: #f0883e; stroke: #f0883e }
.c2 { fill: #3fb950; stroke: #3fb950 } .c3 { fill: #ab7df8; stroke: #ab7df8 }
.c4 { fill: #f778ba; stroke: #f778ba } .c5 { fill: #d29922; stroke: #d29922 }
.c6 { fill: #9198a1; stroke: #9198a1 } .c7 { fill: #39c5cf; stroke: #39c5cf }
}
"""


def picture(title: str, height: float, parts: Iterable[str]) -> str:
    """A whole file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    lines = [head, f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>"]
    return "\n".join([*lines, text((0, 18), title, kind="title"), *parts, "</svg>"]) + "\n"


def text(at: tuple[float, float], words: str, *, kind: str = "", anchor: str = "start") -> str:
    """Words at a place: `anchor` start, middle or end."""
    x, y = at
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def box(at: tuple[float, float], size: tuple[float, float], series: int) -> str:
    """A filled box in the colour of a series."""
    (x, y), (width, height) = at, size
    return (
        f'<rect class="c{series % SERIES}" x="{x:.1f}" y="{y:.1f}"'
        f' width="{max(width, 0.5):.1f}" height="{height:.1f}" rx="1.5"/>'
    )


def rule(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A thin line of the axes."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="axis" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], series: int) -> str:
    """A line through points, each marked, in the colour of a series."""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    kind = f"c{series % SERIES}"
    marks = "".join(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    return f'<polyline class="line {kind}" style="fill:none" points="{line}"/>{marks}'


def legend(y: float, names: Sequence[str]) -> str:
    """A row of coloured boxes with names."""
    parts, x = [], 0.0
    for series, name in enumerate(names):
        parts += [box((x, y - 9), (10, 10), series), text((x + 15, y), name, kind="faint")]
        x += 32 + 6.6 * len(name)
    return "".join(parts)
