"""A chart of lines as SVG, in plain colours as attributes, which every viewer shows."""

import math
from html import escape

PAPER, INK, GRID = "#ffffff", "#1f2430", "#dddddd"
# Okabe and Ito's colours for all eyes, without yellow, which paper swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
# Lines differ in marker and dashes too, for print and for who sees no colours: 40 pairs, since 8 and 5 have no
# divisor in common. Each marker is drawn from its middle on.
DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 2")
MARKERS = (
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",  # disc
    "m-3.5 -3.5h7v7h-7z",  # square
    "m0 -4.5l4.5 8h-9z",  # triangle
    "m0 -5l5 5l-5 5l-5 -5z",  # diamond
    "m0 4.5l4.5 -8h-9z",  # triangle on its tip
    "m-1.2 -4.5h2.4v3.3h3.3v2.4h-3.3v3.3h-2.4v-3.3h-3.3v-2.4h3.3z",  # plus
    # cross
    "m-4.5 -2.8l1.7 -1.7l2.8 2.8l2.8 -2.8l1.7 1.7l-2.8 2.8l2.8 2.8l-1.7 1.7l-2.8 -2.8l-2.8 2.8l-1.7 -1.7l2.8 -2.8z",
    "m-1.5 -5h3v10h-3z",  # bar
)
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 460, 60, 20, 220, 50
LINE = 18  # of the legend


def chart(lines, x_name, y_name):
    """SVG of {name: [(x, y), …]}; a line of one point is a marker."""
    points = [p for line in lines.values() for p in line]
    x, y = Axis.across([p[0] for p in points]), Axis.up([p[1] for p in points])
    height = max(HEIGHT, TOP + LINE * (len(lines) + 1))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [f'{head} font-family="sans-serif" font-size="12" fill="{INK}">']
    parts.append(f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>')
    parts += axes(x, y, x_name, y_name)
    for i, (name, line) in enumerate(lines.items()):
        parts += drawn(i, [(x(a), y(b)) for a, b in sorted(line)])
        down = TOP + 8 + LINE * i
        parts += drawn(i, [(WIDTH - RIGHT + 15 + along, down) for along in (0, 20, 40)], marked=slice(1, 2), kind="key")
        parts.append(f'<text x="{WIDTH - RIGHT + 62}" y="{down + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def drawn(i, spots, marked=slice(None), kind="line"):
    """Line i through spots, with its markers at some of them."""
    colour, dash, marker = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]
    dash = f' stroke-dasharray="{dash}"' if dash else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    yield f'<g class="{kind}"><polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
    yield from (f'<path d="M{x:.1f} {y:.1f}{marker}" fill="{colour}"/>' for x, y in spots[marked])
    yield "</g>"


class Axis:
    """A range of values with a margin of a twentieth, and where on the picture each lies."""

    def __init__(self, values, first, last):
        low, high = min(values), max(values)
        margin = (high - low or 1.0) / 20
        self.low, self.high, self.first, self.last = low - margin, high + margin, first, last

    @classmethod
    def across(cls, values):
        return cls(values, LEFT, WIDTH - RIGHT)

    @classmethod
    def up(cls, values):
        return cls(values, HEIGHT - BOTTOM, TOP)

    def __call__(self, value):
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)


def ticks(low, high):
    """Round values of a range and how they are written, four to eight of them where that goes."""
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step *= next((f for f in (5, 2) if (high - low) / (step * f) >= 3), 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step:.{digits}f}") for i in range(first, last + 1)]


def axes(x, y, x_name, y_name):
    for value, label in ticks(y.low, y.high):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{label}</text>'
    bottom = HEIGHT - BOTTOM
    yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}" stroke="{INK}"/>'
    for value, label in ticks(x.low, x.high):
        yield f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{bottom}" y2="{bottom + 5}" stroke="{INK}"/>'
        yield f'<text x="{x(value):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    across, middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + bottom) / 2
    yield f'<text x="{across}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>'
    yield (
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(y_name)}</text>'
    )
