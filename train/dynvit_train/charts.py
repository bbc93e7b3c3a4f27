"""A chart of lines as SVG."""

from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f", "#17becf", "#bcbd22")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 460, 60, 20, 220, 50


def chart(lines, x_name, y_name):
    """SVG of {name: [(x, y), …]}; a line of one point is a dot."""
    xs, ys = ([p[i] for line in lines.values() for p in line] for i in (0, 1))
    x_range, y_range = bounds(xs), bounds(ys)

    def place(x, y):
        px = LEFT + (x - x_range[0]) / (x_range[1] - x_range[0]) * (WIDTH - LEFT - RIGHT)
        return px, HEIGHT - BOTTOM - (y - y_range[0]) / (y_range[1] - y_range[0]) * (HEIGHT - TOP - BOTTOM)

    parts = axes(x_range, y_range, place, x_name, y_name)
    for i, (name, line) in enumerate(lines.items()):
        colour, dash = COLOURS[i % len(COLOURS)], ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        spots = [place(*p) for p in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"{dash}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots]
        y = TOP + 12 + 18 * i
        parts.append(f'<text x="{WIDTH - RIGHT + 15}" y="{y}" fill="{colour}">{escape(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    parts = [head + ' font-size="12">', '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]
    return "\n".join(parts) + "\n"


def bounds(values):
    """The range with a margin of a twentieth, never empty."""
    low, high = min(values), max(values)
    margin = (high - low or 1.0) / 20
    return low - margin, high + margin


def axes(x_range, y_range, place, x_name, y_name):
    parts = []
    for i in range(6):
        x, y = (r[0] + (r[1] - r[0]) * i / 5 for r in (x_range, y_range))
        px, py = place(x, y)
        line = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}"'
        parts.append(f'<line {line} stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.1f}</text>')
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:.2f}</text>')
    across = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{across}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(y_name)}</text>'
    )
    return parts
