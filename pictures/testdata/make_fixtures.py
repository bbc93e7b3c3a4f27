#!/usr/bin/env python3
"""Writes the pictures beside this file and, in expect.json, what Pillow makes of them:
the SHA-256 of Image.convert('RGB'), as they are stored and as exif_transpose has them.
HEIC and AVIF also get Pillow's pixels as PNG, because decoders differ there.

    pip install pillow==13.0.0 pillow-heif==1.8.1 numpy
    python3 make_fixtures.py
"""
import hashlib, io, json, pathlib, struct
import numpy as np
import pillow_heif
from PIL import Image, ImageOps, __version__, features

pillow_heif.register_heif_opener()
here = pathlib.Path(__file__).parent
expect = {"pillow": __version__, "webp": features.version("webp"), "avif": features.version("avif"), "tiff": features.version("libtiff"),
          "heif": pillow_heif.libheif_version(), "files": {}}


def sha(img):
    return hashlib.sha256(img.tobytes()).hexdigest()


def drawn(w, h, seed=0):
    """Ramps with edges and a quarter of noise."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    noise = np.random.default_rng(seed).integers(0, 256, (h, w, 3))
    return Image.fromarray((((x * 2 + y * 3 + c * 40) % 256 * 3 + noise) // 4).astype(np.uint8))


def smooth(w, h):
    """What a photo is to a codec: slopes, an edge, little noise."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    img = np.stack([128 + 90 * np.sin(x / 17 + y / 31), 40 + 170 * x / w, 220 - 180 * y / h], -1)
    img[h // 3:h // 2, w // 4:w // 2] = (200, 30, 60)
    return Image.fromarray((img + np.random.default_rng(2).normal(0, 2, img.shape)).clip(0, 255).astype(np.uint8))


def record(name, data=None, golden=False):
    """Both readings: torchvision's, which is the file as Pillow opens it, and exif_transpose's."""
    if data is not None:
        (here / name).write_bytes(data)
    stored = Image.open(here / name)
    upright = ImageOps.exif_transpose(Image.open(here / name)).convert("RGB")
    stored = stored.convert("RGB")
    expect["files"][name] = {"width": upright.size[0], "height": upright.size[1], "rgb": sha(upright),
                             "stored_width": stored.size[0], "stored_height": stored.size[1], "stored": sha(stored)}
    if golden:
        upright.save(here / (name + ".png"), optimize=True)


def save(name, img, golden=False, **options):
    out = io.BytesIO()
    img.save(out, name.rsplit(".")[-1].replace("tif", "tiff").replace("heic", "heif"), **options)
    record(name, out.getvalue(), golden)
    return out.getvalue()


def exif(o):
    e = Image.Exif()
    e[0x0112] = o
    return e


base, odd = drawn(62, 48), drawn(61, 47, 1)
a = np.asarray(odd)
alpha = np.array(drawn(61, 47, 3))[:, :, :1]
alpha[:5], alpha[5:9] = 0, 255
see = Image.fromarray(np.concatenate([a, alpha], 2))

# WebP
save("lossy.webp", smooth(62, 48), quality=80)
save("lossy_odd.webp", odd, quality=50)
save("lossy_narrow.webp", drawn(1, 33), quality=90)
save("lossy_flat.webp", drawn(33, 1), quality=90)
save("lossy_pixel.webp", drawn(1, 1), quality=90)
save("lossy_alpha.webp", see, quality=70)
save("lossy_simple.webp", smooth(90, 40), quality=10, method=0)
save("lossless.webp", odd, lossless=True)
save("lossless_alpha.webp", see, lossless=True, exact=True)
save("lossless_palette.webp", odd.quantize(11).convert("RGB"), lossless=True)
save("lossless_two.webp", odd.convert("1").convert("RGB"), lossless=True)
save("lossless_many.webp", odd.quantize(200).convert("RGB"), lossless=True)
save("animated.webp", odd, save_all=True, append_images=[base.resize(odd.size), odd.rotate(90).resize(odd.size)], quality=70, duration=40)
save("animated_lossless.webp", see, save_all=True, append_images=[see.rotate(180)], lossless=True, exact=True, duration=40)
for o in range(1, 9):
    plain = save(f"exif_{o}.webp", odd, quality=60, exif=exif(o))
save("xmp.webp", odd, quality=60, xmp=b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>')


def chunk(kind, body):
    return kind + struct.pack("<L", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def frame_in(w, h, x, y, still):
    """An animation of w×h whose first frame is a whole WebP laid at x, y."""
    fw, fh = Image.open(io.BytesIO(still)).size
    u24 = lambda v: struct.pack("<L", v)[:3]
    canvas = chunk(b"VP8X", struct.pack("<L", 2 | 16) + u24(w - 1) + u24(h - 1))
    anmf = chunk(b"ANMF", u24(x // 2) + u24(y // 2) + u24(fw - 1) + u24(fh - 1) + u24(50) + b"\0" + still[12:])
    return riff(canvas, chunk(b"ANIM", struct.pack("<LH", 0xFF336699, 0)), anmf)


still = io.BytesIO()
drawn(20, 15).save(still, "webp", quality=60)
record("animated_inside.webp", frame_in(50, 40, 12, 8, still.getvalue()))
still = io.BytesIO()
Image.fromarray(np.concatenate([a, alpha], 2)[:15, :20]).save(still, "webp", lossless=True, exact=True)
record("animated_inside_alpha.webp", frame_in(50, 40, 30, 24, still.getvalue()))

# TIFF
for kind in ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"):
    save(f"rgb_{kind}.tif", odd, compression=kind)
save("rgba.tif", see)
save("grey.tif", odd.convert("L"), compression="tiff_lzw")
save("bilevel.tif", odd.convert("1"), compression="raw")
save("bilevel_g3.tif", odd.convert("1"), compression="group3")
save("bilevel_g4.tif", odd.convert("1"), compression="group4")
save("fax.tif", odd.convert("1"), compression="group4", tiffinfo={262: 0})
save("palette.tif", odd.quantize(256), compression="packbits")
save("grey16.tif", Image.fromarray(a[:, :, 0].astype(np.uint16) * 3))
save("predictor.tif", odd, compression="tiff_lzw", tiffinfo={317: 2})
save("strips.tif", odd, compression="tiff_lzw", tiffinfo={278: 7})
save("cmyk.tif", odd.convert("CMYK"), compression="raw")
save("jpeg.tif", odd, compression="jpeg")
for o in range(1, 9):
    save(f"exif_{o}.tif", odd, compression="tiff_lzw", tiffinfo={274: o})


def tiff(order, w, h, photometric, bits, data, *more):
    """An uncompressed TIFF of one strip; Pillow writes few kinds."""
    n = len(bits)
    entries = [(256, 4, [w]), (257, 4, [h]), (258, 3, bits), (259, 3, [1]), (262, 3, [photometric]), (273, 4, [8]),
               (277, 3, [n]), (278, 4, [h]), (279, 4, [len(data)]), *more]
    at = 8 + len(data) + len(data) % 2
    behind = at + 2 + 12 * len(entries) + 4
    head, rest = b"", b""
    for tag, kind, values in sorted(entries):
        body = b"".join(struct.pack(order + {3: "H", 4: "L"}[kind], v) for v in values)
        if len(body) > 4:
            body, rest = struct.pack(order + "L", behind + len(rest)), rest + body
        head += struct.pack(order + "HHL", tag, kind, len(values)) + body.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", at)
    return start + data + b"\0" * (len(data) % 2) + struct.pack(order + "H", len(entries)) + head + b"\0" * 4 + rest


wide = a.astype(np.uint16) * 257 ^ 0x5A
wide_alpha = np.concatenate([wide, alpha.astype(np.uint16) * 257 ^ 0x33], 2)
for name, order in {"ii": "<", "mm": ">"}.items():
    record(f"rgb16_{name}.tif", tiff(order, 61, 47, 2, [16] * 3, wide.astype(order + "u2").tobytes()))
    record(f"rgba16_{name}.tif", tiff(order, 61, 47, 2, [16] * 4, wide_alpha.astype(order + "u2").tobytes(), (338, 3, [2])))
    record(f"associated16_{name}.tif", tiff(order, 61, 47, 2, [16] * 4, wide_alpha.astype(order + "u2").tobytes(), (338, 3, [1])))
    record(f"grey16_{name}.tif", tiff(order, 61, 47, 1, [16], (a[:, :, 0].astype(np.uint16) * 3).astype(order + "u2").tobytes()))
record("associated.tif", tiff("<", 61, 47, 2, [8] * 4, np.concatenate([a, alpha], 2).tobytes(), (338, 3, [1])))
record("white_is_zero.tif", tiff("<", 61, 47, 0, [8], a[:, :, 0].tobytes()))
record("white_is_zero1.tif", tiff(">", 64, 47, 0, [1], np.packbits(np.asarray(drawn(64, 47))[:, :, 0] > 99, axis=1).tobytes()))
colours = [(i * 7919 + c * 104729) % 65536 for c in range(3) for i in range(256)]
record("palette16.tif", tiff("<", 61, 47, 3, [8], a[:, :, 0].tobytes(), (320, 3, colours)))

# BMP
save("rgb.bmp", odd)
save("grey.bmp", odd.convert("L"))
save("bilevel.bmp", odd.convert("1"))
save("palette.bmp", odd.quantize(256))
save("rgba.bmp", see)


def bmp(w, h, depth, rows, palette=b"", size=40, masks=b""):
    at = 14 + size + len(palette)
    body = b"".join(r + b"\0" * (-len(r) % 4) for r in rows)
    info = struct.pack("<LllHHLLllLL", size, w, h, 1, depth, 3 if masks else 0, len(body), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<LHHL", at + len(body), 0, 0, at) + (info + masks).ljust(size, b"\0") + palette + body


bgr = a[:, :, ::-1]
ramp = bytes((i * 7 + c * 31) % 256 for i in range(16) for c in range(4))
record("top_down.bmp", bmp(61, -47, 24, [r.tobytes() for r in bgr]))
record("palette4.bmp", bmp(60, 47, 4, [bytes((r[i] & 0xF0) | r[i + 1] >> 4 for i in range(0, 60, 2)) for r in a[:, :60, 0]], ramp))
bgra = np.concatenate([bgr, alpha], 2)
record("rgbx.bmp", bmp(61, 47, 32, [r.tobytes() for r in bgra]))
record("v4_alpha.bmp", bmp(61, 47, 32, [r.tobytes() for r in bgra], size=108, masks=struct.pack("<LLLL", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
record("v5.bmp", bmp(61, 47, 24, [r.tobytes() for r in bgr], size=124))

# GIF
paletted = odd.quantize(200)
save("plain.gif", paletted)
save("interlaced.gif", paletted, interlace=1)
save("grey.gif", odd.convert("L"))
save("transparent.gif", paletted, transparency=5)
save("animated.gif", paletted, save_all=True, append_images=[paletted.rotate(180), paletted.rotate(90)], duration=50)


def gif(screen, at, size, pixels, palette=b"", background=0, transparent=None, local=b""):
    """A GIF whose codes stand uncompressed; a first frame smaller than its screen."""
    field = lambda p: 0x80 | (len(p) // 3).bit_length() - 2 if p else 0
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, field(palette), background, 0) + palette
    if transparent is not None:
        out += b"!\xf9\4\1\0\0" + bytes([transparent, 0])
    out += b"," + struct.pack("<HHHHB", *at, *size, field(local)) + local + b"\x07"
    bits, n, codes = 0, 0, bytearray()
    for i, v in enumerate(pixels):
        for code in ([128, v] if i % 100 == 0 else [v]):  # a clear code before the width grows
            bits |= code << n
            n += 8
            while n >= 8:
                codes.append(bits & 255)
                bits, n = bits >> 8, n - 8
    codes.append(129)
    return out + b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255)) + b"\0;"


some = bytes((i * 5 + 3) % 128 for i in range(20 * 15))
colour = bytes((i * 11 + c * 70) % 256 for i in range(128) for c in range(3))
other = bytes((i * 3 + c * 50 + 9) % 256 for i in range(128) for c in range(3))
record("inside.gif", gif((40, 30), (7, 9), (20, 15), some, colour, background=17))
record("inside_transparent.gif", gif((40, 30), (7, 9), (20, 15), some, colour, background=17, transparent=3))
record("inside_local.gif", gif((40, 30), (7, 9), (20, 15), some, colour, background=17, local=other))
record("no_palette.gif", gif((20, 15), (0, 0), (20, 15), some))

# AVIF and HEIC: of a size that halves oddly, in what phones and the web have
for name, options in {"420": dict(subsampling="4:2:0"), "422": dict(subsampling="4:2:2"), "444": dict(subsampling="4:4:4"), "grey": dict(subsampling="4:0:0"),
                      "limited": dict(range="limited"), "sharp": dict(quality=100)}.items():
    save(f"{name}.avif", smooth(122, 86), golden=True, **{"quality": 80, **options})
save("odd.avif", smooth(121, 85), golden=True, quality=80)
save("alpha.avif", Image.merge("RGBA", (*smooth(61, 47).split(), Image.fromarray(alpha[:, :, 0] | 128))), golden=True, quality=90)
for o in range(1, 9):
    save(f"exif_{o}.avif", smooth(61, 47), golden=True, exif=exif(o), quality=80)
save("animated.avif", smooth(60, 40), golden=True, save_all=True, append_images=[drawn(60, 40)], quality=70)
for name, options in {"420": dict(chroma=420), "422": dict(chroma=422), "444": dict(chroma=444), "601": dict(matrix_coefficients=6),
                      "709": dict(matrix_coefficients=1), "limited": dict(matrix_coefficients=6, full_range_flag=0)}.items():
    save(f"{name}.heic", smooth(122, 86), golden=True, **{"quality": 80, **options})
save("grey.heic", smooth(122, 86).convert("L"), golden=True, quality=80)
save("odd.heic", smooth(121, 85), golden=True, quality=80)
save("alpha.heic", Image.merge("RGBA", (*smooth(62, 48).split(), Image.fromarray(np.asarray(base)[:, :, 0] | 128))), golden=True, quality=90)
for o in range(1, 9):
    save(f"exif_{o}.heic", smooth(62, 48), golden=True, exif=exif(o), quality=80)



def box(kind, body, *full):
    """A box; with version and flags a full one."""
    body = (struct.pack(">L", full[0] << 24 | full[1]) if full else b"") + body
    return struct.pack(">L", 8 + len(body)) + kind + body


def bits_of(img, quality):
    """The configuration and the picture of a HEIC that pillow-heif writes."""
    out = io.BytesIO()
    img.save(out, "heif", quality=quality)
    data = out.getvalue()
    at = data.index(b"hvcC") - 4
    config = data[at:at + struct.unpack(">L", data[at:at + 4])[0]]
    return config, data[data.index(b"mdat") + 4:]


def telephone(img, side, turn=0, mirror=None, quality=80):
    """A HEIC as telephones write: tiles, turned by a property, no box of colours."""
    w, h = img.size
    columns, rows = -(-w // side), -(-h // side)
    padded = Image.fromarray(np.pad(np.asarray(img), ((0, rows * side - h), (0, columns * side - w), (0, 0)), mode="edge"))
    tiles = [bits_of(padded.crop((x * side, y * side, (x + 1) * side, (y + 1) * side)), quality) for y in range(rows) for x in range(columns)]
    count, infe = len(tiles), lambda n, kind: box(b"infe", struct.pack(">HH", n, 0) + kind + b"\0", 2, 0)
    ispe = lambda w, h: box(b"ispe", struct.pack(">LL", w, h), 0, 0)
    assert all(c == tiles[0][0] for c, _ in tiles)
    properties, whole = [tiles[0][0], ispe(side, side), ispe(w, h)], [3]
    for kind, value in ((b"irot", turn or None), (b"imir", mirror)):
        if value is not None:
            properties.append(box(kind, bytes([value])))
            whole.append(len(properties))
    links = struct.pack(">HB", 1, len(whole)) + bytes(0x80 | p for p in whole) + b"".join(struct.pack(">HBBB", n + 2, 2, 0x81, 2) for n in range(count))
    items = [struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, w, h), *(d for _, d in tiles)]

    def meta(at):
        places = b""
        for n, data in enumerate(items):
            places += struct.pack(">HHHLL", n + 1, 0, 1, at, len(data))
            at += len(data)
        return box(b"meta", box(b"hdlr", struct.pack(">L4s12xx", 0, b"pict"), 0, 0) + box(b"pitm", struct.pack(">H", 1), 0, 0)
                   + box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + places, 0, 0)
                   + box(b"iinf", struct.pack(">H", len(items)) + infe(1, b"grid") + b"".join(infe(n + 2, b"hvc1") for n in range(count)), 0, 0)
                   + box(b"iref", box(b"dimg", struct.pack(">HH", 1, count) + b"".join(struct.pack(">H", n + 2) for n in range(count))), 0, 0)
                   + box(b"iprp", box(b"ipco", b"".join(properties)) + box(b"ipma", struct.pack(">L", count + 1) + links, 0, 0)), 0, 0)

    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", b"".join(items))


for turn in range(4):
    record(f"tiles_{turn}.heic", telephone(smooth(300, 200), 128, turn), golden=True)
record("tiles_mirrored.heic", telephone(smooth(300, 200), 128, 3, 0), golden=True)
record("tiles_flipped.heic", telephone(smooth(300, 200), 128, mirror=1), golden=True)


def crop(name, data):
    """What a model sees of a picture as large as telephones': Resize(256), CenterCrop(224)."""
    (here / name).write_bytes(data)
    img = ImageOps.exif_transpose(Image.open(here / name)).convert("RGB")
    w, h = img.size
    w, h = (256, 256 * h // w) if w < h else (256 * w // h, 256)
    left, top = round((w - 224) / 2), round((h - 224) / 2)
    img.resize((w, h), Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224)).save(here / (name + ".crop.png"), optimize=True)


crop("telephone.heic", telephone(smooth(2016, 1512), 512, 3, quality=30))
web = io.BytesIO()
smooth(1200, 900).save(web, "avif", quality=60, exif=exif(6))
crop("web.avif", web.getvalue())

(here / "expect.json").write_text(json.dumps(expect, indent=1) + "\n")
