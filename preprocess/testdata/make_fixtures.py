#!/usr/bin/env python3
"""Draws small pictures in many modes and shapes and writes them with what Pillow
makes of them: testdata/expect.json, and a PNG of the 224x224 crop for each JPEG.

    pip install pillow numpy; python3 make_fixtures.py [../../../shared/golden/deit_tiny]

The sizes follow torchvision's Resize(256, BICUBIC) and CenterCrop(224) on PIL
images. With the folder of golden photos, their crops' checksums are added (the
photos themselves are not ours to copy)."""
import hashlib, json, pathlib, sys
import numpy as np
from PIL import Image, __version__

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)


def crop(img):
    img = img.convert("RGB")
    w, h = img.size
    short, long = min(w, h), max(w, h)
    new_long = int(256 * long / short)
    size = (256, new_long) if w <= h else (new_long, 256)
    if size != img.size:
        img = img.resize(size, Image.BICUBIC)
    w, h = img.size
    left, top = int(round((w - 224) / 2.0)), int(round((h - 224) / 2.0))
    return img.crop((left, top, left + 224, top + 224))


def picture(w, h):
    """Smooth gradients, hard edges and noise."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    a = np.stack([127 + 120 * np.sin(x / 9 + y / 17), 255 * (x / max(w - 1, 1)), 255 * ((x // 8 + y // 8) % 2)], -1)
    a += rng.normal(0, 12, a.shape)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


expect = {"pillow": __version__, "crops": {}}


def record(name, img):
    expect["crops"][name] = hashlib.sha256(crop(img).tobytes()).hexdigest()


for w, h in [(1, 1), (2, 3), (7, 90), (500, 7), (256, 256), (224, 224), (255, 257), (300, 200), (257, 64), (333, 37), (512, 3), (97, 256)]:
    name = f"rgb_{w}x{h}.png"
    picture(w, h).save(here / name, optimize=True)
    record(name, Image.open(here / name))

base = picture(61, 47)
modes = {
    "gray": base.convert("L"), "graya": base.convert("LA"), "rgba": base.convert("RGBA"),
    "onebit": base.convert("1"), "palette": base.convert("P", palette=Image.ADAPTIVE, colors=37),
}
modes["rgba"].putalpha(base.convert("L"))
modes["graya"].putalpha(base.convert("L"))
for name, img in modes.items():
    img.save(here / f"mode_{name}.png")
    record(f"mode_{name}.png", Image.open(here / f"mode_{name}.png"))
modes["palette"].save(here / "mode_palette_trns.png", transparency=3)
record("mode_palette_trns.png", Image.open(here / "mode_palette_trns.png"))
gray16 = Image.fromarray((np.asarray(base.convert("L")).astype(np.uint16) * 5).astype(np.uint16))
gray16.save(here / "mode_gray16.png")
try:
    record("mode_gray16.png", Image.open(here / "mode_gray16.png"))
except ValueError as e:
    print("gray16:", e)

jpegs = {
    "444": dict(subsampling=0), "422": dict(subsampling=1), "420": dict(subsampling=2),
    "420_progressive": dict(subsampling=2, progressive=True), "420_restart": dict(subsampling=2, restart_marker_blocks=3),
}
for name, options in jpegs.items():
    f = f"jpeg_{name}.jpg"
    picture(123, 77).save(here / f, quality=88, **options)
    crop(Image.open(here / f)).save(here / f"{f}.crop.png", optimize=True)
base.convert("L").save(here / "jpeg_gray.jpg", quality=88)
crop(Image.open(here / "jpeg_gray.jpg")).save(here / "jpeg_gray.jpg.crop.png", optimize=True)
base.convert("CMYK").save(here / "jpeg_cmyk.jpg", quality=88)
crop(Image.open(here / "jpeg_cmyk.jpg")).save(here / "jpeg_cmyk.jpg.crop.png", optimize=True)

if len(sys.argv) > 1:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
        record("golden/" + path.name, Image.open(path))
(here / "expect.json").write_text(json.dumps(expect, indent=1, sort_keys=True) + "\n")
