"""Plot: today's documents by hour and kind, as stacked bars of an SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from pipeline.monitor.page.tally import KINDS

#: The size of the plot, in its own units; HEIGHT: of the bars, below which the hours stand.
WIDTH, HEIGHT, FOOT = 340, 100, 18
GAP = 0.25
#: Hours between two labels.
EVERY = 3
#: Lines across the plot at most.
MAX_LINES = 4


class Bar(Struct, frozen=True):
    """One kind in one hour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Plot(Struct, frozen=True):
    """What to draw. labels: x and hour. lines: y and documents; now: x of the present hour."""

    bars: tuple[Bar, ...]
    labels: tuple[tuple[float, int], ...]
    lines: tuple[tuple[float, int], ...]
    now: float


def plot(hours: Sequence[Mapping[str, int]], now: int) -> Plot:
    """The plot of the hours of a day, of which `now` is the present one."""
    width = WIDTH / max(len(hours), 1)
    step = _step(max((sum(one.values()) for one in hours), default=0))
    top = step * MAX_LINES
    bars = []
    for hour, counts in enumerate(hours):
        y = float(HEIGHT)
        for kind in KINDS:
            if documents := counts.get(kind, 0):
                height = max(documents / top * HEIGHT, 0.5)
                y -= height
                x = (hour + GAP / 2) * width
                bars.append(
                    Bar(kind, _short(x), _short(y), _short(width * (1 - GAP)), _short(height))
                )
    labels = tuple(
        (_short((hour + 0.5) * width) if hour else 0.0, hour)
        for hour in range(0, len(hours), EVERY)
    )
    lines = tuple(
        (_short(HEIGHT - HEIGHT * line / MAX_LINES), line * step) for line in range(1, MAX_LINES)
    )
    return Plot(tuple(bars), labels, lines, _short((now + 0.5) * width))


def _step(most: int) -> int:
    """Documents between two lines: a number that people count in, so that all bars have room."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * MAX_LINES >= most:
                return step * factor
        step *= 10


def _short(value: float) -> float:
    return round(value, 1)
