#!/usr/bin/env python3
"""Compiles the kernels to PTX, one file a family and target, with the NVRTC of the wheels in
requirements.txt: build.py OUT. No GPU and no driver is needed. Equal sources and equal
wheels give equal bytes."""

import ctypes
import pathlib
import re
import sys
import sysconfig

HERE = pathlib.Path(__file__).resolve().parent
NVIDIA = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
FAMILIES = ["gemm", "attention", "rows", "tokens", "picture"]

# The oldest PTX that a driver must read: JetPack 4 ends at CUDA 10.2 (6.5) and serves Nano and
# Xavier; Orin begins with JetPack 5, CUDA 11.4 (7.4).
TARGETS = {"sm_53": "6.5", "sm_72": "6.5", "sm_80": "7.4"}


class Compiler:
    def __init__(self):
        self.lib = ctypes.CDLL(str(NVIDIA / "cuda_nvrtc/lib/libnvrtc.so.12"))
        self.includes = [NVIDIA / "cuda_runtime/include", NVIDIA / "cuda_nvcc/include", HERE]

    def ptx(self, source, target):
        """PTX of a source file for a target such as sm_53."""
        program = ctypes.c_void_p()
        name = source.name.encode()
        self.must(self.lib.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), name, 0, None, None))
        options = [f"--gpu-architecture=compute_{target[3:]}", "--std=c++17", "--device-as-default-execution-space"]
        options += [f"--include-path={i}" for i in self.includes]
        array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        if self.lib.nvrtcCompileProgram(program, len(options), array) != 0:
            sys.exit(f"{source.name} for {target}:\n" + self.text(program, "ProgramLog"))
        return self.text(program, "PTX")

    def text(self, program, what):
        size = ctypes.c_size_t()
        self.must(getattr(self.lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self.must(getattr(self.lib, f"nvrtcGet{what}")(program, buffer))
        return buffer.value.decode()

    @staticmethod
    def must(code):
        if code != 0:
            sys.exit(f"nvrtc: error {code}")


def lowered(ptx, version):
    """PTX that says it is of an older version; ptxas decides whether that is true (check.py)."""
    return re.sub(r"^\.version .*$", f".version {version}", ptx, count=1, flags=re.M)


def main(out):
    compiler = Compiler()
    for target, version in TARGETS.items():
        folder = pathlib.Path(out) / target
        folder.mkdir(parents=True, exist_ok=True)
        for family in FAMILIES:
            ptx = compiler.ptx(HERE / f"{family}.cu", target)
            (folder / f"{family}.ptx").write_text(lowered(ptx, version))


if __name__ == "__main__":
    main(sys.argv[1])
