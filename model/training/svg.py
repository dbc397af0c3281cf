"""Draws charts as SVG, by hand: few kinds, the same bytes each time, legible on light and dark.

Leaves what is drawn to `pictures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax import saxutils

Point = tuple[float, float]

STYLE = """
 svg { background: #fff; font: 12px system-ui, sans-serif }
 text { fill: #333 } .title { font-weight: 600 } .end { text-anchor: end }
 .middle { text-anchor: middle }
 .axis, .guide { fill: none; stroke: #999 } .guide { stroke-dasharray: 4 4 }
 .line { fill: none; stroke: #0b62a8; stroke-width: 2 } .dot, .less { fill: #0b62a8 }
 .bar { stroke: #0b62a8 } .more { fill: #c2410c }
 @media (prefers-color-scheme: dark) {
  svg { background: #16181c } text { fill: #ddd } .axis, .guide { stroke: #777 }
  .line, .bar { stroke: #6cb6f5 } .dot, .less { fill: #6cb6f5 } .more { fill: #fb923c }
 }
"""


_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may have, however they are written."""


def escape(words: str) -> str:
    """Write a text as XML has it."""
    return saxutils.escape(_NO_XML.sub("\ufffd", words))


def picture(width: int, height: int, title: str, description: str, parts: Iterable[str]) -> str:
    """Return a whole SVG file. Sizes are pixels; the description is for those who cannot see it."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="description">{escape(description)}</desc>\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Write words; kind: `title`, `middle` or `end`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def bar(left: float, top: float, width: float, height: float, kind: str) -> str:
    """Draw a bar; kind: `more` or `less`."""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'class="{kind}"/>'
    )


def line(points: Sequence[Point], kind: str) -> str:
    """Join points, in pixels; kind: `line`, `bar`, `axis` or `guide`."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" class="{kind}"/>'


@dataclass(frozen=True)
class Panel:
    """A square chart whose axes both go from 0 to the same share, written as per cent."""

    left: int
    top: int
    title: str
    x_label: str
    y_label: str
    size: int = 240
    end: float = 1.0
    """Share at which the axes end."""

    def at(self, x: float, y: float) -> Point:
        """Return where a value is, in pixels."""
        return self.left + x / self.end * self.size, self.top + (1 - y / self.end) * self.size

    def frame(self) -> Iterable[str]:
        """Draw the axes and what they say."""
        yield text(self.left, self.top - 30, self.title, "title")
        yield line([self.at(0, self.end), self.at(0, 0), self.at(self.end, 0)], "axis")
        for share in (0, self.end / 2, self.end):
            x, y = self.at(share, 0)
            yield text(x, y + 16, f"{100 * share:g}%", "middle")
            x, y = self.at(0, share)
            yield text(x - 6, y + 4, f"{100 * share:g}%", "end")
        yield text(self.left + self.size / 2, self.top + self.size + 34, self.x_label, "middle")
        yield text(self.left, self.top - 12, self.y_label)

    def line(self, points: Iterable[Point], kind: str) -> str:
        """Join values."""
        return line([self.at(x, y) for x, y in points], kind)

    def dot(self, x: float, y: float) -> str:
        """Mark a value."""
        x, y = self.at(x, y)
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="dot"/>'
