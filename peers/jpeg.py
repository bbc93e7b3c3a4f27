"""Times the way of one JPEG to the model's input beside libjpeg-turbo's decoding of it at half size, in turn.

    python jpeg.py FRAME.jpg [--rounds 7]        (in the repository's root; needs Go and Pillow)

A ratio of 1 means that decoding, crop, resize and normalisation together take as long as libjpeg-turbo takes to decode.
"""

import argparse
import io
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

from PIL import Image, features

SECONDS = 0.5


def half(data):
    """Milliseconds of decoding at half size by Pillow's draft, the median of SECONDS."""
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", (picture.width // 2, picture.height // 2))
        picture.load()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def ours(test, file):
    command = [test, "-test.run", "^$", "-test.bench", "Frame/JPEG", "-test.benchtime", f"{SECONDS}s", "-test.cpu", "1"]
    out = subprocess.run(command, env=dict(os.environ, DYNVIT_JPEG=str(file)), check=True, capture_output=True, text=True)
    return float(re.search(r"([\d.]+) ns/op", out.stdout)[1]) / 1e6


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("frame", type=Path)
    args.add_argument("--rounds", type=int, default=7)
    args = args.parse_args()
    data = args.frame.read_bytes()
    test = Path("bin/preprocess.test").absolute()
    subprocess.run(["go", "test", "-c", "-o", test, "./preprocess"], check=True)
    theirs, own = [], []
    for _ in range(args.rounds):
        theirs.append(half(data))
        own.append(ours(test, args.frame.absolute()))
    print(f"{args.frame.name}, {len(data)} bytes, libjpeg-turbo {features.version('libjpeg_turbo')}")
    for name, times in (("libjpeg-turbo, half size", theirs), ("dynvit, whole way", own)):
        print(f"  {name:26s} {statistics.median(times):6.3f} ms  ({min(times):.3f} … {max(times):.3f})")
    print(f"  ratio {statistics.median(own) / statistics.median(theirs):.3f}")


if __name__ == "__main__":
    main()
