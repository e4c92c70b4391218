"""Draws charts as SVG: bars with their spread, and lines over time or size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from benchmarks.measure import Figure

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 210, 90, 44, 46
BAR, STEP = 18, 30
HEIGHT = 320
#: The room for the name of a line, at most.
LEGEND = 120
COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#8d6a9f", "#555555")


def bars(title: str, unit: str, values: Mapping[str, Figure], highlight: str = "") -> str:
    """Horizontal bars of the medians, with a whisker from the least to the greatest."""
    most = max((value.high for value in values.values()), default=0) or 1
    across = (WIDTH - LEFT - RIGHT) / most
    height = TOP + STEP * len(values) + BOTTOM
    parts = []
    for row, (name, value) in enumerate(values.items()):
        top = TOP + row * STEP
        middle = top + BAR / 2
        colour = COLOURS[1 if name == highlight else 0]
        low, high = LEFT + value.low * across, LEFT + value.high * across
        wide = value.median * across
        bar = f'<rect x="{LEFT}" y="{top}" width="{wide:.1f}" height="{BAR}" fill="{colour}"/>'
        whisker = (
            f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
        )
        parts += [
            _text(LEFT - 8, middle + 4, name, "end"),
            bar,
            f'<path d="{whisker}" stroke="#222" fill="none"/>',
            _text(high + 6, middle + 4, _number(value.median)),
        ]
    parts.append(_text(LEFT, height - BOTTOM + 22, unit))
    return _drawing(title, height, parts)


def lines(
    title: str,
    across: str,
    up: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> str:
    """A line for each series of (x, y), both axes from zero."""
    points = [point for line in series.values() for point in line]
    right = max((x for x, _ in points), default=0) or 1
    top = max((y for _, y in points), default=0) or 1
    wide, high = WIDTH - 2 * RIGHT, HEIGHT - TOP - BOTTOM
    floor = HEIGHT - BOTTOM
    parts = [f'<path d="M{RIGHT} {TOP}V{floor}H{RIGHT + wide}" stroke="#222" fill="none"/>']
    for tick in _ticks(top):
        y = floor - tick / top * high
        parts.append(f'<path d="M{RIGHT} {y:.1f}h{wide}" stroke="#ddd"/>')
        parts.append(_text(RIGHT - 6, y + 4, _number(tick), "end"))
    parts += [
        _text(RIGHT + tick / right * wide, floor + 16, _number(tick), "middle")
        for tick in _ticks(right)
    ]
    legend = min(LEGEND, wide / max(len(series), 1))
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(
            f"{RIGHT + x / right * wide:.1f},{floor - y / top * high:.1f}" for x, y in line
        )
        parts.append(f'<polyline points="{path}" stroke="{colour}" fill="none"/>')
        parts.append(
            f'<text x="{RIGHT + 8 + number * legend:.0f}" y="{TOP - 6}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    parts.append(_text(RIGHT + wide, floor + 34, across, "end"))
    parts.append(_text(RIGHT, floor + 34, f"upwards: {up}"))
    return _drawing(title, HEIGHT, parts)


def _drawing(title: str, height: int, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"
  viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" role="img">
<title>{escape(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="20" font-size="14" font-weight="bold">{escape(title)}</text>
{body}
</svg>
"""


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ticks(most: float) -> Iterator[float]:
    """Four or so round numbers from 0 to the greatest."""
    rough = most / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((one * power for one in (1, 2, 5, 10)), key=lambda one: abs(one - rough))
    return (step * number for number in range(int(most / step) + 1))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"
