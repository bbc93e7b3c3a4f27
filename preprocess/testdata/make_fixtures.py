#!/usr/bin/env python3
"""Writes the pictures beside this file and, in expect.json, what Pillow makes of
them: checksums of Image.convert('RGB') and of what torchvision's transforms then
show to a model. JPEGs with more than flat blocks also get Pillow's pixels as PNG,
because decoders differ there in the last bit.

    pip install pillow==13.0.0 numpy
    python3 make_fixtures.py [../../../shared/golden/deit_tiny]

With the folder of golden photos, their checksums are added; the photos are not
ours to copy. torchvision's part is sizes alone (torchvision/transforms/
functional.py: _compute_resized_output_size, center_crop); Pillow does the work.
From Pillow 13 on a picture whose height shrinks by more pixels than twice what its
width shrinks by is resized top to bottom first (ImagingResampleInner), which moves
some pixels by a level; all before it go left to right first, but for very tall ones.
"""
import hashlib, io, json, pathlib, random, struct, sys, zlib
import numpy as np
from PIL import Image, ImageOps, __version__, features
from flatjpeg import flat_jpeg

here = pathlib.Path(__file__).parent
BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
SPECS = {  # name: size, resize (0: warp), filter, what else: squash (both sides to resize), floor (as transformers' center_crop)
    "deit": (224, 256, BICUBIC),
    "bilinear": (224, 256, BILINEAR),
    "odd": (225, 256, BICUBIC),
    "whole": (160, 160, BICUBIC),
    "padded": (224, 201, BICUBIC),
    "warp": (384, 0, BICUBIC),
    "squash": (224, 235, BICUBIC, "squash"),
    "floor": (225, 256, BICUBIC, "floor"),
}
SHAPES = [
    (1, 1), (2, 3), (3, 2), (1, 300), (300, 1), (7, 500), (500, 7), (256, 256), (224, 224), (255, 257), (257, 255), (201, 201),
    (160, 160), (384, 384), (225, 256), (256, 455), (455, 256), (300, 200), (200, 300), (1000, 37), (37, 1000), (4096, 16),
    (16, 4096), (640, 480), (1280, 720), (1081, 1919),
]
chance = random.Random(13)
SHAPES += [(chance.randint(1, 700), chance.randint(1, 1000)) for _ in range(40)]  # of which half shrink so
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def drawn(w, h):
    """Ramps with edges and a quarter of noise; the Go test draws the same."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3].astype(np.uint64)
    i = (y * np.uint64(w) + x) * np.uint64(3) + c
    noise = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    noise = ((noise ^ (noise >> np.uint64(15))) * np.uint64(2246822519) & np.uint64(0xFFFFFFFF)) >> np.uint64(24)
    ramp = (x * np.uint64(2) + y * np.uint64(3) + c * np.uint64(40)) & np.uint64(255)
    return Image.fromarray(((ramp * np.uint64(3) + noise) >> np.uint64(2)).astype(np.uint8))


def transform(img, size, resize, how, *also):
    """Resize(resize) and CenterCrop(size), or Resize((size, size))."""
    w, h = img.size
    if "squash" in also:
        img = img.resize((resize, resize), how)
        w = h = resize
    if resize == 0:
        return img.resize((size, size), how)
    short, long = min(w, h), max(w, h)
    new_long = int(resize * long / short)
    to = (resize, new_long) if w <= h else (new_long, resize)
    if to != img.size:
        img = img.resize(to, how)
    w, h = img.size
    if size > w or size > h:
        left, top = max(0, (size - w) // 2), max(0, (size - h) // 2)
        padded = Image.new("RGB", (max(w, size), max(h, size)))
        padded.paste(img, (left, top))
        img = padded
        w, h = img.size
    if "floor" in also:
        left, top = (w - size) // 2, (h - size) // 2
        return img.crop((left, top, left + size, top + size))
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    return img.crop((left, top, left + size, top + size))


def crops(img, names=SPECS):
    return {n: sha(transform(img, *SPECS[n]).tobytes()) for n in names}


def model_input(img):
    """ToTensor and Normalize in float32; as pixels and as patches of 16."""
    unit = np.asarray(img, np.float32) / np.float32(255)
    pixels = (unit - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    s = img.size[0] // 16
    patches = pixels.reshape(s, 16, s, 16, 3).transpose(0, 2, 4, 1, 3)
    return {"pixels": sha(np.ascontiguousarray(pixels).tobytes()), "patches": sha(np.ascontiguousarray(patches).tobytes())}


def record(file):
    img = Image.open(here / file).convert("RGB")
    expect["files"][file] = {"width": img.size[0], "height": img.size[1], "rgb": sha(img.tobytes()), "crops": crops(img, ["deit"])}
    return img


expect = {
    "pillow": __version__,
    "libjpeg_turbo": features.version("libjpeg_turbo"),
    "specs": {n: {"size": s, "resize": r, "bilinear": how == BILINEAR, "squash": "squash" in also, "floor": "floor" in also}
              for n, (s, r, how, *also) in SPECS.items()},
    "shapes": [{"width": w, "height": h, "crops": crops(drawn(w, h))} for w, h in SHAPES],
    "input": model_input(transform(drawn(640, 480), *SPECS["deit"])),
    "files": {},
}


def chunk(kind, body):
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def png(name, colour, depth, rows, palette=b"", trns=b"", interlaced=False):
    """Writes packed rows as a PNG of any colour type; Pillow cannot write all."""
    h = len(rows)
    w = len(rows[0]) * 8 // depth // {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    body = b"".join(b"\0" + r for r in (adam7(rows, colour, depth) if interlaced else rows))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", w.to_bytes(4, "big") + h.to_bytes(4, "big") + bytes([depth, colour, 0, 0, interlaced]))
    out += chunk(b"PLTE", palette) if palette else b""
    out += chunk(b"tRNS", trns) if trns else b""
    (here / name).write_bytes(out + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))
    record(name)


def adam7(rows, colour, depth):
    """The seven passes of an interlaced PNG whose pixels are whole bytes."""
    step = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth // 8
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        for r in rows[y0::dy]:
            pixels = [r[i:i + step] for i in range(0, len(r), step)]
            if line := b"".join(pixels[x0::dx]):
                yield line


base = drawn(61, 47)
a = np.asarray(base)
alpha = np.asarray(drawn(61, 47).rotate(180))[:, :, :1]
grey = a[:, :, :1]
wide = a.astype(np.uint16) * 257 ^ 0x5A  # low bytes unlike the high ones
dim = a[:, :, 0].astype(np.uint16) * 3  # some above 255
be = lambda x: [r.astype(">u2").tobytes() for r in x]
rows = lambda x: [r.tobytes() for r in np.ascontiguousarray(x)]
bits = lambda x, d: [np.packbits(np.unpackbits((r >> (8 - d)).astype(np.uint8)[:, None], axis=1)[:, 8 - d:]).tobytes() for r in x]
full = np.concatenate([a, alpha], 2)
ramp = bytes((i * 7 + c * 31) % 256 for i in range(256) for c in range(3))
narrow = a[:, :56]  # whole bytes at any depth

for d in (1, 2, 4):
    png(f"grey{d}.png", 0, d, bits(narrow[:, :, 0], d))
    png(f"palette{d}.png", 3, d, bits(narrow[:, :, 1], d), palette=ramp[:3 * 2**d])
png("grey8.png", 0, 8, rows(grey))
png("grey8_transparent.png", 0, 8, rows(grey), trns=b"\0\x55")
png("grey16.png", 0, 16, be(dim))
png("grey16_transparent.png", 0, 16, be(dim), trns=b"\0\x55")
png("grey8_alpha.png", 4, 8, rows(np.concatenate([grey, alpha], 2)))
png("grey16_alpha.png", 4, 16, be(np.concatenate([wide[:, :, :1], alpha.astype(np.uint16) * 257], 2)))
png("rgb8.png", 2, 8, rows(a))
png("rgb8_transparent.png", 2, 8, rows(a), trns=b"\0\x55\0\x55\0\x55")
png("rgb8_interlaced.png", 2, 8, rows(a), interlaced=True)
png("rgb16.png", 2, 16, be(wide))
png("rgba8.png", 6, 8, rows(full))
png("rgba8_interlaced.png", 6, 8, rows(full), interlaced=True)
png("rgba16.png", 6, 16, be(np.concatenate([wide, alpha.astype(np.uint16) * 257], 2)))
png("palette8.png", 3, 8, rows(grey), palette=ramp)
png("palette8_transparent.png", 3, 8, rows(grey), palette=ramp, trns=bytes(range(0, 256, 3)))
png("palette8_interlaced.png", 3, 8, rows(grey), palette=ramp, interlaced=True)
png("pixel.png", 2, 8, [b"\x10\x80\xf0"])

# Flat blocks: every decoder's inverse DCT is exact, so that the rest must be.
for name, options in {
    "444": dict(sampling=[(1, 1)] * 3), "422": dict(sampling=[(2, 1), (1, 1), (1, 1)]), "420": dict(sampling=[(2, 2), (1, 1), (1, 1)]),
    "440": dict(sampling=[(1, 2), (1, 1), (1, 1)]), "411": dict(sampling=[(4, 1), (1, 1), (1, 1)]), "410": dict(sampling=[(4, 2), (1, 1), (1, 1)]),
    "half_chroma_2x1": dict(sampling=[(2, 2), (2, 1), (2, 1)]), "grey": dict(sampling=[(1, 1)]), "grey_2x2": dict(sampling=[(2, 2)]),
    "420_restart": dict(sampling=[(2, 2), (1, 1), (1, 1)], restart=3), "422_without_tables": dict(sampling=[(2, 1), (1, 1), (1, 1)], tables=False),
    "no_jfif": dict(jfif=False), "ids_0": dict(jfif=False, ids=[0, 1, 2]), "jfif_ids_rgb": dict(ids=list(b"RGB")),
    "rgb_ids": dict(jfif=False, ids=list(b"RGB")), "rgb_adobe": dict(jfif=False, adobe=0), "ycc_adobe": dict(jfif=False, adobe=1),
    "adobe_ids_rgb": dict(jfif=False, adobe=1, ids=list(b"RGB")), "rgb_420": dict(jfif=False, adobe=0, sampling=[(2, 2), (1, 1), (1, 1)]),
    "cmyk": dict(jfif=False, sampling=[(1, 1)] * 4), "cmyk_adobe": dict(jfif=False, adobe=0, sampling=[(1, 1)] * 4),
    "cmyk_halved": dict(jfif=False, adobe=0, sampling=[(2, 2), (1, 1), (1, 1), (2, 2)]),
    "ycck": dict(jfif=False, adobe=2, sampling=[(1, 1)] * 4), "ycck_420": dict(jfif=False, adobe=2, sampling=[(2, 2), (1, 1), (1, 1), (2, 2)]),
    "420_1x1": dict(size=(1, 1), sampling=[(2, 2), (1, 1), (1, 1)]), "420_4x3": dict(size=(4, 3), sampling=[(2, 2), (1, 1), (1, 1)]),
    "422_5x2": dict(size=(5, 2), sampling=[(2, 1), (1, 1), (1, 1)]), "420_33x17": dict(size=(33, 17), sampling=[(2, 2), (1, 1), (1, 1)]),
    "440_16x33": dict(size=(16, 33), sampling=[(1, 2), (1, 1), (1, 1)]),
}.items():
    file = f"flat_{name}.jpg"
    (here / file).write_bytes(flat_jpeg(**{"size": (61, 47), "sampling": [(1, 1)] * 3, **options}))
    record(file)

for name, (img, options) in {
    "444": (base, dict(subsampling=0)), "422": (base, dict(subsampling=1)), "420": (base, dict(subsampling=2)),
    "420_coarse": (base, dict(subsampling=2, quality=20)), "420_progressive": (base, dict(subsampling=2, progressive=True)),
    "420_restart": (base, dict(subsampling=2, restart_marker_blocks=2)), "444_progressive": (base, dict(subsampling=0, progressive=True)),
    "grey": (base.convert("L"), {}), "grey_progressive": (base.convert("L"), dict(progressive=True)),
    "cmyk": (base.convert("CMYK"), {}), "cmyk_progressive": (base.convert("CMYK"), dict(progressive=True)),
}.items():
    file = f"drawn_{name}.jpg"
    img.save(here / file, **{"quality": 85, **options})
    record(file).save(here / (file + ".png"), optimize=True)



# Orientation: what exif_transpose makes of it, the odd and the damaged ones too.
def tiff(order, entries, first=8):
    """A TIFF header and a directory of (tag, type, count, value's four bytes)."""
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", first) + b"\0" * (first - 8)
    return out + struct.pack(order + "H", len(entries)) + b"".join(struct.pack(order + "HHL", *e[:3]) + e[3] for e in entries) + b"\0" * 4


def tagged(order, value, kind=3, count=1):
    form = {1: "B3x", 3: "H2x", 4: "L", 9: "l"}[kind]
    make = (0x010F, 2, 4, b"cam\0")
    return tiff(order, [make, (0x0112, kind, count, struct.pack(order + form, value)), make])


def app1(body):
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def turned(name, data):
    (here / name).write_bytes(data)
    img = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    expect["turned"][name] = {"width": img.size[0], "height": img.size[1], "rgb": sha(img.tobytes()), "crops": crops(img, ["deit"])}


EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
expect["turned"] = {}
jpg, small = (here / "drawn_420.jpg").read_bytes(), io.BytesIO()
drawn(13, 7).save(small, "JPEG", quality=50)
small, plain = small.getvalue(), (here / "rgb8.png").read_bytes()
for o in range(1, 9):
    turned(f"exif_ii_{o}.jpg", jpg[:2] + app1(EXIF + tagged("<", o)) + jpg[2:])
    turned(f"exif_mm_{o}.jpg", jpg[:20] + app1(EXIF + tagged(">", o)) + jpg[20:])
    turned(f"exif_{o}.png", plain[:33] + chunk(b"eXIf", tagged("<>"[o % 2], o)) + plain[33:])
xmp = lambda o: b'<x:xmpmeta><rdf:Description tiff:Make="c" tiff:Orientation="%d"/></x:xmpmeta>' % o
thumbnail = tiff("<", [(0x0112, 3, 1, struct.pack("<Hxx", 6))])
for name, segments in {
    "0": app1(EXIF + tagged("<", 0)), "9": app1(EXIF + tagged("<", 9)), "262": app1(EXIF + tagged("<", 262)),
    "long": app1(EXIF + tagged(">", 6, 4)), "signed": app1(EXIF + tagged("<", 6, 9)), "byte": app1(EXIF + tagged("<", 6, 1)),
    "pair": app1(EXIF + tagged("<", 6, 3, 2)), "far": app1(EXIF + tiff("<", [(0x0112, 3, 1, b"\6\0\0\0")], 200)),
    "twice": app1(EXIF + tagged("<", 6)) + app1(EXIF + tagged("<", 3)), "short": app1(EXIF + tagged("<", 6)[:20]),
    "outside": app1(EXIF + b"II*\0\xff\xff\xff\xff" + b"\0" * 30), "no_order": app1(EXIF + b"XX" + tagged("<", 6)[2:]), "empty": app1(EXIF),
    "second": app1(EXIF + tiff("<", [])[:-4] + struct.pack("<L", 14) + thumbnail[8:]), "xmp": app1(XMP + xmp(8)),
    "xmp_element": app1(XMP + b"<tiff:Orientation>6</tiff:Orientation>"), "xmp_besides": app1(EXIF + tagged("<", 1)) + app1(XMP + xmp(8)),
    "xmp_instead": app1(EXIF + tiff("<", [])) + app1(XMP + xmp(8)), "xmp_none": app1(XMP + b"<tiff:Orientation/>"),
}.items():
    turned(f"exif_odd_{name}.jpg", small[:2] + segments + small[2:])
turned("exif_behind.png", plain[:-12] + chunk(b"eXIf", tagged("<", 6)) + plain[-12:])
turned("exif_named.png", plain[:33] + chunk(b"eXIf", EXIF + tagged("<", 6)) + plain[33:])
turned("exif_xmp.png", plain[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(7)) + plain[33:])

# Damage that libjpeg reads over: each picture with as much lost as it says.
def damaged(name, data):
    """Without an end of image Pillow reads some pictures and waits in vain for others: all are read as if it were there."""
    (here / name).write_bytes(data)
    img = Image.open(io.BytesIO(data + b"\xff\xd9")).convert("RGB")
    expect["damaged"][name] = {"width": img.size[0], "height": img.size[1], "rgb": sha(img.tobytes()), "crops": crops(img, ["deit"])}


def marker(data, n):
    """Where restart marker n, counted from 0 over the picture, stands."""
    at = data.index(b"\xff\xda") + 2
    for i in range(at, len(data)):
        if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7:
            if n == 0:
                return i
            n -= 1


expect["damaged"] = {}
for kind, options in {"420": dict(subsampling=2, restart_marker_blocks=3), "444": dict(subsampling=0, restart_marker_rows=1), "grey": dict(restart_marker_blocks=7)}.items():
    out = io.BytesIO()
    img = drawn(141, 97)
    (img.convert("L") if kind == "grey" else img).save(out, "JPEG", quality=60, **options)
    whole = out.getvalue()
    m = [marker(whole, n) for n in range(9)]
    for name, data in {
        "no_eoi": whole[:-2], "half_eoi": whole[:-1], "dnl": whole[:-2] + b"\xff\xdc\0\4" + struct.pack(">H", 97) + whole[-2:],
        "comment": whole[:-2] + b"\xff\xfe\0\4ab" + whole[-2:],
        "lost": whole[:m[3]] + whole[m[3] + 2:], "two_lost": whole[:m[2]] + whole[m[2] + 2:m[3]] + whole[m[3] + 2:],
        "lost_apart": whole[:m[1]] + whole[m[1] + 2:m[4]] + whole[m[4] + 2:], "first_lost": whole[:m[0]] + whole[m[0] + 2:],
        "overwritten": whole[:m[3]] + b"\x12\x34" + whole[m[3] + 2:], "lost_with_data": whole[:m[3] - 20] + whole[m[3] + 9:],
        "data_lost": whole[:m[3] + 12] + whole[m[3] + 30:], "interval_lost": whole[:m[2]] + whole[m[3]:], "twice": whole[:m[4]] + whole[m[3]:],
        "other_number": whole[:m[3] + 1] + b"\xd5" + whole[m[3] + 2:], "far_number": whole[:m[3] + 1] + b"\xd7" + whole[m[3] + 2:],
        "no_marker_inside": whole[:m[3] + 14] + b"\xff\x01" + whole[m[3] + 16:],
        "bits": whole[:m[5] + 6] + bytes([whole[m[5] + 6] ^ 0x40]) + whole[m[5] + 7:],
    }.items():
        damaged(f"damaged_{kind}_{name}.jpg", data)

if len(sys.argv) > 1:
    expect["golden"] = {p.name: crops(Image.open(p).convert("RGB"), ["deit"])["deit"] for p in sorted(pathlib.Path(sys.argv[1]).glob("*.png"))}
(here / "expect.json").write_text(json.dumps(expect, indent=1) + "\n")
