"""Counts the instructions that a frame of the model alone executes on emulated Arm processors, by class.

    python count.py [--arch deit_tiny deit_small] [--keep 1 0.7] [--rung a76 f32 ...]

Builds vit's test for arm64 (Go) and ../shared/arm's plugin for qemu (gcc), and runs BenchmarkFrame and BenchmarkLoad
under qemu-aarch64 (Debian's qemu-user): the former's count less the latter's is shown, in millions. That of
multiplications is exact; into the rest comes what Go's runtime does by the clock meanwhile.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNGS = {  # processor, precision
    "f32": ("max", "f32"),
    "a72": ("cortex-a72", "int8"),
    "a76": ("cortex-a76", "int8"),
    "smmla": ("max", "int8"),
    "bf16": ("max", "bf16"),
    "f16-a76": ("cortex-a76", "f16"),
    "f16-max": ("max", "f16"),
}


def build(folder):
    test, plugin = folder / "vit.test", folder / "count.so"
    env = dict(os.environ, CGO_ENABLED="0", GOARCH="arm64")
    subprocess.run(["go", "test", "-c", "-o", test, "./vit"], check=True, cwd=ROOT, env=env)
    source = ROOT.parent / "shared" / "arm" / "count.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return test, plugin


def counts(test, plugin, cpu, benchmark):
    command = ["qemu-aarch64", "-cpu", cpu, "-plugin", plugin, test, "-test.run", "^$", "-test.timeout", "0"]
    command += ["-test.bench", benchmark, "-test.benchtime", "1x"]
    env = dict(os.environ, GOMAXPROCS="1", GOGC="off", GODEBUG="asyncpreemptoff=1")
    run = subprocess.run(command, check=True, cwd=ROOT / "vit", env=env, capture_output=True, text=True)
    if "ns/op" not in run.stdout:
        raise SystemExit(f"no such benchmark: {benchmark}: {run.stdout}")
    return json.loads(run.stderr.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", nargs="+", default=["deit_tiny", "deit_small"])
    parser.add_argument("--keep", nargs="+", default=["0.7", "1"])
    parser.add_argument("--rung", nargs="+", default=list(RUNGS), choices=list(RUNGS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        test, plugin = build(Path(folder))
        for arch in arguments.arch:
            for keep in arguments.keep:
                for rung in arguments.rung:
                    cpu, precision = RUNGS[rung]
                    model = f"^{arch}$/^keep{keep}$/^{precision}$"
                    load, both = (counts(test, plugin, cpu, f"^Benchmark{b}$/{model}") for b in ("Load", "Frame"))
                    kinds = {k: round((both[k] - load[k]) / 1e6, 1) for k in both if both[k] != load[k]}
                    print(f"{arch} keep {keep} {rung}:", ", ".join(f"{v} {k}" for k, v in kinds.items()), flush=True)


if __name__ == "__main__":
    main()
