"""Counts the instructions that a frame of the model alone executes on emulated Arm processors, by kind, in millions.

    python count.py [--arch deit_tiny deit_small] [--keep 1 0.7] [--rung a76 f32 ...]

Builds vit's test for arm64 (Go) and count.c (gcc), and runs BenchmarkFrame and BenchmarkLoad under qemu-aarch64
(Debian's qemu-user): shown is the former's count less the latter's. Go's runtime is left out, but for what moves
memory: its timers go by the clock on the wall, and an emulated frame takes seconds.
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
    """The test, and the plugin with its arguments."""
    test, plugin = folder / "vit.test", folder / "count.so"
    env = dict(os.environ, CGO_ENABLED="0", GOARCH="arm64")
    subprocess.run(["go", "test", "-c", "-o", test, "./vit"], check=True, cwd=ROOT, env=env)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, ROOT / "peers" / "count.c"], check=True)
    return test, ",".join([str(plugin), *runtime(test)])


def runtime(test):
    """Ranges of addresses with functions of Go's runtime alone, those that move memory excepted."""
    symbols = subprocess.run(["go", "tool", "nm", "-n", test], check=True, capture_output=True, text=True).stdout
    code = [line.split()[:3] for line in symbols.splitlines() if line.split()[1:2] in (["T"], ["t"])]
    ranges, start = [], None
    for address, _, name in code:
        inside = name.startswith("runtime.") and not name.startswith(("runtime.mem", "runtime.text", "runtime.etext"))
        if inside and start is None:
            start = address
        elif not inside and start is not None:
            ranges.append(f"{start}-{address}")
            start = None
    return ranges


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
            for rung in arguments.rung:
                cpu, precision = RUNGS[rung]
                load = counts(test, plugin, cpu, f"^BenchmarkLoad$/^{arch}$/^keep1$/^{precision}$")
                for keep in arguments.keep:
                    both = counts(test, plugin, cpu, f"^BenchmarkFrame$/^{arch}$/^keep{keep}$/^{precision}$")
                    kinds = {k: round((both[k] - load[k]) / 1e6, 1) for k in both if both[k] != load[k]}
                    print(f"{arch} keep {keep} {rung}:", ", ".join(f"{v} {k}" for k, v in kinds.items()), flush=True)


if __name__ == "__main__":
    main()
