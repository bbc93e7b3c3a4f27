"""A JPEG encoder for pictures of flat 8x8 blocks in drawn levels.

Each block is one DC coefficient, a level times the quantiser 8, which every
inverse DCT turns into that level exactly. What a decoder adds to it, chroma
upsampling and colour conversion, can then be compared bit by bit, in component
layouts that common encoders do not write.
"""
import random

# ITU-T T.81, tables K.3 and K.5: codes of each length, symbols.
DC_LENGTHS, DC_SYMBOLS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]), bytes(range(12))
END_OF_BLOCK = "1010"  # in table K.5
AC_LENGTHS = bytes.fromhex("0002010303020403050504040000017d")
AC_SYMBOLS = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43444546474849"
    "4a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5"
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa")


def dc_codes():
    code, at, codes = 0, 0, {}
    for length, n in enumerate(DC_LENGTHS, 1):
        for s in DC_SYMBOLS[at:at + n]:
            codes[s] = format(code, f"0{length}b")
            code += 1
        at, code = at + n, code << 1
    return codes


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def packed(bits):
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return data.replace(b"\xff", b"\xff\0")


def block(level, before, codes):
    diff = level - before
    size = abs(diff).bit_length()
    value = diff if diff >= 0 else diff + (1 << size) - 1
    return codes[size] + (format(value, f"0{size}b") if size else "") + END_OF_BLOCK


def scan(size, sampling, restart):
    """All components interleaved; a single one block by block."""
    draw, codes = random.Random(5), dc_codes()
    if len(sampling) == 1:
        sampling = [(1, 1)]
    mcu_w, mcu_h = 8 * max(h for h, _ in sampling), 8 * max(v for _, v in sampling)
    mcus = -(-size[0] // mcu_w) * -(-size[1] // mcu_h)
    out, bits, before = b"", "", [0] * len(sampling)
    for i in range(mcus):
        if restart and i and i % restart == 0:
            out += packed(bits) + bytes([0xFF, 0xD0 + (i // restart - 1) % 8])
            bits, before = "", [0] * len(sampling)
        for c, (h, v) in enumerate(sampling):
            for _ in range(h * v):
                level = draw.randrange(256) - 128
                bits += block(level, before[c], codes)
                before[c] = level
    return out + packed(bits)


def flat_jpeg(size, sampling, ids=None, jfif=True, adobe=None, restart=0, tables=True):
    """sampling: (h, v) of each component; adobe: its colour transform;
    tables=False leaves the standard Huffman tables out, as cameras do."""
    n = len(sampling)
    ids = ids or list(range(1, n + 1))
    out = b"\xff\xd8"
    if jfif:
        out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    if adobe is not None:
        out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    out += segment(0xDB, b"\0" + b"\x08" * 64)
    frame = b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in zip(ids, sampling))
    out += segment(0xC0, b"\x08" + size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big") + bytes([n]) + frame)
    if tables:
        out += segment(0xC4, b"\0" + DC_LENGTHS + DC_SYMBOLS) + segment(0xC4, b"\x10" + AC_LENGTHS + AC_SYMBOLS)
    if restart:
        out += segment(0xDD, restart.to_bytes(2, "big"))
    out += segment(0xDA, bytes([n]) + b"".join(bytes([i, 0]) for i in ids) + b"\0\x3f\0")
    return out + scan(size, sampling, restart) + b"\xff\xd9"
