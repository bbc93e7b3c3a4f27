"""Times dynvitd beside ONNX Runtime and OpenVINO on the same pruned graphs, in turn, on this machine.

    python bench.py DIR DYNVITD [--arch deit_small ...] [--keep 1 0.7] [--threads 1 2] [--rounds 5] [--json FILE]

DIR holds export.py's graphs. Every round gives each contender a second; what is shown is the median of all rounds'
times and, as its spread, the least and largest median of a round. A ratio below 1 is dynvitd being faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import openvino as ov

SECONDS = 1.0
WARM_UPS = 5


def latencies(run):
    """Milliseconds of each run in SECONDS, after WARM_UPS runs."""
    for _ in range(WARM_UPS):
        run()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def onnxruntime(path, threads, x):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: latencies(lambda: session.run(None, {"x": x}))


def openvino(core, model, threads, hint, x):
    config = {
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return lambda: latencies(lambda: request.infer({0: x}))


def dynvitd(binary, arch, keep, threads, precision):
    command = [binary, "bench", "--json", "--arch", arch, "--keep", str(keep), "--threads", str(threads)]
    command += ["--precision", precision, "--seconds", str(SECONDS)]

    def run():
        out = subprocess.run(command, check=True, capture_output=True, text=True)
        return [json.loads(out.stdout)["latency_ms"]["p50"]]

    return run


def quantized(folder, name, core, x):
    """The graph in int8: ONNX Runtime's dynamic one as a file, NNCF's as an OpenVINO model."""
    import nncf
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / f"{name}.onnx"
    dynamic = folder / f"{name}_int8.onnx"
    if not dynamic.exists():
        quantize_dynamic(str(path), str(dynamic), per_channel=True, weight_type=QuantType.QInt8)
    samples = nncf.Dataset([x, x * 0.5, x * 2])
    static = nncf.quantize(core.read_model(path), samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=3)
    return dynamic, static


def contenders(folder, binary, arch, keep, threads):
    core, x = ov.Core(), np.random.default_rng(1).standard_normal((1, 3, 224, 224), "f4")
    path = folder / f"{arch}_{keep}.onnx"
    model = core.read_model(path)
    dynamic, static = quantized(folder, path.stem, core, x)
    return {
        "onnxruntime f32": onnxruntime(path, threads, x),
        "onnxruntime int8": onnxruntime(dynamic, threads, x),
        "openvino f32": openvino(core, model, threads, "f32", x),
        "openvino bf16": openvino(core, model, threads, "bf16", x),
        "openvino int8": openvino(core, static, threads, "f32", x),
        "openvino int8+bf16": openvino(core, static, threads, "bf16", x),
        **{f"dynvitd {p}": dynvitd(binary, arch, keep, threads, p) for p in ("f32", "bf16", "int8")},
    }


def measure(runs, rounds):
    """Of each contender: its median, the least and the largest median of a round, in ms."""
    medians = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            medians[name].append(statistics.median(run()))
    return {name: (statistics.median(m), min(m), max(m)) for name, m in medians.items()}


def ratios(times):
    """dynvitd to the better peer of the same precision; bf16 and int8 to OpenVINO alone, as the targets are set."""
    ms = {name: t[0] for name, t in times.items()}
    return {
        "f32": ms["dynvitd f32"] / min(ms["onnxruntime f32"], ms["openvino f32"]),
        "bf16": ms["dynvitd bf16"] / ms["openvino bf16"],
        "int8": ms["dynvitd int8"] / min(ms["openvino int8"], ms["openvino int8+bf16"]),
    }


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("folder", type=Path)
    args.add_argument("binary")
    args.add_argument("--arch", nargs="+", default=["deit_tiny", "deit_small"])
    args.add_argument("--keep", nargs="+", default=["1", "0.7"])
    args.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--json", type=Path)
    args = args.parse_args()
    print(f"onnxruntime {ort.__version__}, openvino {ov.__version__}, {os.cpu_count()} cores, {args.rounds} rounds")
    rows = []
    for arch in args.arch:
        for keep in args.keep:
            for threads in args.threads:
                times = measure(contenders(args.folder, args.binary, arch, keep, threads), args.rounds)
                row = {"arch": arch, "keep": keep, "threads": threads, "ms": times, "ratio": ratios(times)}
                rows.append(row)
                show(row)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def show(row):
    print(f"\n{row['arch']} keep {row['keep']}, {row['threads']} threads")
    for name, (median, least, most) in row["ms"].items():
        print(f"  {name:20s} {median:7.2f} ms  ({least:.2f} … {most:.2f})")
    print("  dynvitd to the better peer: " + ", ".join(f"{p} {r:.3f}" for p, r in row["ratio"].items()), flush=True)


if __name__ == "__main__":
    main()
