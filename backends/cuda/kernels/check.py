#!/usr/bin/env python3
"""What can be said of PTX without a GPU: check.py PTX [an option of ptxas ...]. ptxas assembles
each file for the devices that take it; nothing may spill or need a stack, tensor cores must be
used where they are meant and nowhere else, and a multiprocessor must not run nearly empty. Prints
a line a kernel, and exits with 1 where something does not hold. NVDISASM says where nvdisasm is: 12.x,
as 13 knows neither sm_53 nor sm_72."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

NVIDIA = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
PTXAS = NVIDIA / "cuda_nvcc/bin/ptxas"
NVDISASM = os.environ.get("NVDISASM", "nvdisasm")

# Devices that take a target's PTX.
DEVICES = {"sm_53": ["sm_53"], "sm_72": ["sm_72"], "sm_80": ["sm_80", "sm_87", "sm_90"]}

# Of a multiprocessor: registers, bytes of shared memory, blocks, threads (CUDA C++
# Programming Guide, "Technical Specifications per Compute Capability").
LIMITS = {
    "sm_53": (65536, 65536, 32, 2048),
    "sm_72": (65536, 98304, 32, 2048),
    "sm_80": (65536, 167936, 32, 2048),
    "sm_87": (65536, 167936, 16, 1536),
    "sm_90": (65536, 233472, 32, 2048),
}

# Kernels of 256 threads; all others have 128.
WIDE = {"topk", "mean_half", "max_rows"}

# Instructions for matrices that a kernel must have, and no others: the beginnings of their names. From
# sm_80 on bytes are multiplied 32 at a time, which takes as long as 16.
MATRICES = {
    ("sm_72", "gemm_f16"): ["HMMA"], ("sm_72", "gemm_int8"): ["IMMA"], ("sm_72", "attention_f16"): ["HMMA"],
    ("sm_80", "gemm_f16"): ["HMMA.16816", "LDSM"], ("sm_80", "gemm_bf16"): ["HMMA.16816", "LDSM"],
    ("sm_80", "gemm_int8"): ["IMMA.16832", "LDSM"],
    ("sm_80", "attention_f16"): ["HMMA.16816", "LDSM"], ("sm_80", "attention_bf16"): ["HMMA.16816", "LDSM"],
}  # fmt: skip
FOR_MATRICES = re.compile(r"[HI]MMA|LDSM|MOVM")

# Threads of a multiprocessor that a kernel must be able to keep busy, in percent. Attention on
# Nano has the least: two blocks of 128 threads, for which its shared memory was cut to half of 64 KiB.
LEAST_BUSY = 12

# Those of the products, as docs/cuda.md tells them.
BUSY = {
    "gemm_f16": {"sm_53": 25, "sm_72": 31, "sm_87": 75, "sm_90": 56},
    "gemm_int8": {"sm_53": 25, "sm_72": 31, "sm_87": 58, "sm_90": 43},
    "attention_f16": {"sm_53": 12, "sm_72": 18, "sm_87": 41, "sm_90": 43},
}


def assembled(ptx, device, cubin, options):
    """ptxas' words on each kernel: {name: (stack, spills, registers, shared)}."""
    out = subprocess.run([PTXAS, "-v", f"-arch={device}", *options, ptx, "-o", cubin], capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(f"{ptx} for {device}: {out.stderr}")
    kernels = {}
    for part in re.split(r"Compiling entry function '", out.stderr)[1:]:
        name = part.split("'")[0]
        stack, stores, loads = map(int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups())
        shared = re.search(r"(\d+) bytes smem", part)
        kernels[name] = (stack, stores + loads, int(re.search(r"Used (\d+) registers", part)[1]), int(shared[1]) if shared else 0)
    return kernels


def instructions(cubin):
    """Opcodes of each kernel, with what follows them: IMMA.16832.S8.S8."""
    out = subprocess.run([NVDISASM, "-c", cubin], capture_output=True, text=True, check=True).stdout
    codes, name = {}, None
    for line in out.splitlines():
        if m := re.match(r"\s*\.text\.(\w+):", line):
            name = m[1]
        elif (m := re.search(r"/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]*)", line)) and name:
            codes.setdefault(name, []).append(m[1])
    return codes


def busy(device, threads, registers, shared):
    """Share of a multiprocessor's threads that fit at once, in percent."""
    all_registers, all_shared, blocks, most = LIMITS[device]
    warps = -(-threads // 32)
    by_warp = -(-registers * 32 // 256) * 256
    fit = min(blocks, most // threads, all_registers // (by_warp * warps))
    if shared:
        reserved = 1024 if device >= "sm_80" else 0  # the system's own, for each block
        fit = min(fit, all_shared // (shared + reserved))
    return fit, 100 * fit * threads // most


def faults(target, device, name, facts, codes):
    """What does not hold of a kernel."""
    stack, spills, registers, shared = facts
    threads = 256 if name in WIDE else 128
    wrong = []
    if stack or spills or any(code.startswith(("LDL", "STL")) for code in codes):
        wrong.append(f"{stack} bytes of stack, {spills} of spills")
    want = MATRICES.get((target, name), [])
    wrong += [f"0 {code}" for code in want if not any(c.startswith(code) for c in codes)]
    wrong += sorted({c for c in codes if FOR_MATRICES.match(c) and not c.startswith(tuple(want))})
    fit, percent = busy(device, threads, registers, shared)
    told = BUSY.get(name, {}).get(device, percent)
    if percent < LEAST_BUSY or percent != told:
        wrong.append(f"keeps {percent} % of the threads busy, not {max(told, LEAST_BUSY)}")
    print(f"{device} {name:17}{registers:4} registers{shared:6} bytes shared{fit:3} blocks{percent:4} %  {len(codes):5} instructions  {'; '.join(wrong) or 'ok'}")
    return wrong


def check(ptx_folder, *options):
    wrong = seen = 0
    with tempfile.TemporaryDirectory() as scratch:
        cubin = pathlib.Path(scratch) / "cubin"
        for target, devices in DEVICES.items():
            for ptx in sorted(pathlib.Path(ptx_folder, target).glob("*.ptx")):
                for device in devices:
                    kernels, codes = assembled(ptx, device, cubin, options), instructions(cubin)
                    seen += len(kernels)
                    for name, facts in kernels.items():
                        wrong += bool(faults(target, device, name, facts, codes[name]))
    if not seen:
        sys.exit(f"{ptx_folder}: no kernels")
    return wrong


if __name__ == "__main__":
    sys.exit(check(*sys.argv[1:]) > 0)
