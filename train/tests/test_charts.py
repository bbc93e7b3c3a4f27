"""Charts: round ticks, lines that are told apart without colour, drawn by what people look at them with."""

import io
import math
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from dynvit_train.charts import COLOURS, DASHES, MARKERS, PAPER, Axis, chart, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    "low, high, want",
    [
        (17.6, 99.0, ["20", "40", "60", "80"]),
        (0.14, 0.35, ["0.15", "0.20", "0.25", "0.30", "0.35"]),
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (94.02, 94.18, ["94.05", "94.10", "94.15"]),
        (-3, 12, ["0", "5", "10"]),
        (1e-4, 9e-4, ["0.0002", "0.0004", "0.0006", "0.0008"]),
        (0, 12000, ["0", "2000", "4000", "6000", "8000", "10000", "12000"]),
    ],
)
def test_ticks_are_round(low, high, want):
    assert [label for _, label in ticks(low, high)] == want


def test_ticks_of_any_range():
    for i in range(400):
        low, span = math.sin(i) * 10 ** (i % 7 - 3), 10 ** (i % 11 / 2 - 3)
        values = ticks(low, low + span)
        assert 3 <= len(values) <= 8
        for v, label in values:
            assert low - 1e-9 * span <= v <= low + span + 1e-9 * span
            assert math.isclose(float(label), v, rel_tol=1e-9, abs_tol=1e-9 * span)
            digits = label.replace("-", "").replace(".", "").strip("0")
            assert len(digits) <= 1 + math.ceil(math.log10(max(abs(low), abs(low + span)) / span) + 1.5)


def arms(n):
    return {f"arm {i} <&>": [(0.1 * x, 50 + 3 * i + x) for x in range(1, 6)] for i in range(n)}


def test_lines_differ_without_colour():
    kinds = set()
    root = ElementTree.fromstring(chart(arms(14), "GMAC", "top-1, %"))
    for line in root.findall(f"{SVG}g[@class='line']"):
        marker = line.findall(f"{SVG}path")[0].get("d")
        shape = marker.split("m", 1)[1] if "m" in marker else marker
        kinds.add((line.find(f"{SVG}polyline").get("stroke-dasharray"), shape))
    assert len(kinds) == 14
    assert len(MARKERS) * len(DASHES) >= 40 and math.gcd(len(MARKERS), len(DASHES)) == 1


def test_one_point_and_one_value():
    for lines in ({"a": [(1, 2)]}, {"a": [(1, 2), (2, 2)]}, {f"a{i}": [(0, 0), (1, i)] for i in range(30)}):
        root = ElementTree.fromstring(chart(lines, "x", "y"))
        assert len(root.findall(f"{SVG}g[@class='line']")) == len(lines)
        bottom = float(root.get("viewBox").split()[3])
        assert all(float(e.get("y", 0)) <= bottom for e in root.iter(f"{SVG}text"))


def program(name, package):
    path = shutil.which(name)
    if not path:
        message = f"needs {name}: install the Debian package {package}"
        pytest.fail(message) if os.environ.get("DYNVIT_REQUIRE") else pytest.skip(message)
    return path


def by_librsvg(svg, _):
    out = subprocess.run([program("rsvg-convert", "librsvg2-bin")], input=svg.encode(), capture_output=True, check=True)
    return Image.open(io.BytesIO(out.stdout))


def by_chromium(svg, folder):
    page, shot = folder / "chart.html", folder / "chart.png"
    page.write_text(f'<!doctype html><body style="margin:0"><div style="width:760px">{svg}</div>')
    command = [program("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--force-device-scale-factor=1", f"--user-data-dir={folder / 'profile'}", "--window-size=1000,800"]
    subprocess.run([*command, f"--screenshot={shot}", f"file://{page}"], capture_output=True, check=True)
    return Image.open(shot).crop((0, 0, 760, 460))


@pytest.mark.parametrize("draw", [by_librsvg, by_chromium])
def test_shows(draw, tmp_path):
    """Each line's colour is at its markers, and the paper where nothing is drawn."""
    lines = arms(7)
    img = draw(chart(lines, "GMAC a picture", "top-1, %"), tmp_path).convert("RGB")
    if folder := os.environ.get("CHART_DIR"):
        img.save(os.path.join(folder, f"{draw.__name__}.png"))
    assert img.size == (760, 460)
    points = [p for line in lines.values() for p in line]
    x, y = Axis.across([p[0] for p in points]), Axis.up([p[1] for p in points])
    for i, line in enumerate(lines.values()):
        near(img, x(line[2][0]), y(line[2][1]), COLOURS[i])
    assert img.getpixel((3, 3)) == rgb(PAPER)
    counts = {colour: n for n, colour in img.getcolors(1 << 20)}
    assert counts[rgb(PAPER)] > 0.8 * 760 * 460 and counts.get((0, 0, 0), 0) < 0.02 * 760 * 460


def near(img, x, y, colour):
    """A colour within the size of a marker."""
    around = [img.getpixel((round(x) + i, round(y) + j)) for i in range(-5, 6) for j in range(-5, 6)]
    assert any(max(abs(a - b) for a, b in zip(p, rgb(colour))) < 8 for p in around), (x, y, colour, around)


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
