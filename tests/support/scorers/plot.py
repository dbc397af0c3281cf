"""Draws how cost grows: lines on logarithmic axes, as an SVG with the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

PANEL_WIDTH, PANEL_HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 46, 44
ACROSS = 2
COLOURS = ("#1f6feb", "#d1570a")
"""Blue and orange: told apart with any colour vision."""
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-weight:600}"
    ".g{stroke:#d8dee4}.f{fill:none;stroke-width:2}"
)


@dataclass(frozen=True)
class Panel:
    """One question: what is on the x axis, and for each line its y at each x."""

    title: str
    x_name: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]


def drawn(panels: Sequence[Panel], y_name: str, alternative: str) -> str:
    """Return the picture; all panels share one y axis, so that they can be compared."""
    figures = [y for panel in panels for line in panel.lines.values() for y in line]
    low, high = (
        10 ** math.floor(math.log10(min(figures))),
        10 ** math.ceil(math.log10(max(figures))),
    )
    rows = math.ceil(len(panels) / ACROSS)
    width, height = ACROSS * PANEL_WIDTH, rows * PANEL_HEIGHT + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(alternative)}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        down, right = divmod(number, ACROSS)
        parts.append(f'<g transform="translate({right * PANEL_WIDTH},{down * PANEL_HEIGHT})">')
        parts.extend(_panel(panel, y_name, low, max(high, 10 * low)))
        parts.append("</g>")
    for number, name in enumerate(panels[0].lines):
        x, y, colour = LEFT + number * 150, height - 10, COLOURS[number]
        parts.append(f'<path class="f" stroke="{colour}" d="M{x} {y - 4}h22"/>')
        parts.append(f'<text x="{x + 28}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, y_name: str, low: float, high: float) -> Iterator[str]:
    def across(x: float) -> float:
        share = math.log(x / panel.x[0]) / math.log(panel.x[-1] / panel.x[0])
        return round(LEFT + share * (PANEL_WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        share = math.log(y / low) / math.log(high / low)
        return round(PANEL_HEIGHT - BOTTOM - share * (PANEL_HEIGHT - TOP - BOTTOM), 1)

    yield f'<text class="t" x="{LEFT}" y="20">{escape(panel.title)}</text>'
    yield f'<text x="{LEFT}" y="37">{escape(y_name)}</text>'
    right, bottom = PANEL_WIDTH - RIGHT, PANEL_HEIGHT - BOTTOM
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = down(10.0**power)
        yield f'<path class="g" d="M{LEFT} {y}H{right}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>'
    for x in panel.x:
        yield f'<path class="g" d="M{across(x)} {TOP}V{bottom}"/>'
        yield f'<text x="{across(x)}" y="{bottom + 16}" text-anchor="middle">{_short(x)}</text>'
    middle = (LEFT + right) / 2
    at = f'x="{middle:g}" y="{bottom + 34}"'
    yield f'<text {at} text-anchor="middle">{escape(panel.x_name)}</text>'
    for line, colour in zip(panel.lines.values(), COLOURS, strict=False):
        points = [(across(x), down(y)) for x, y in zip(panel.x, line, strict=True)]
        path = "L".join(f"{x} {y}" for x, y in points)
        yield f'<path class="f" stroke="{colour}" d="M{path}"/>'
        yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points)


def _short(number: float) -> str:
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
