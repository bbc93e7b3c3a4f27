#!/usr/bin/env python3
"""Writes the checkpoints of pickled_test.go with CPython's own pickler.

The stub of torch below has the names and the reductions that torch.save meets
(torch/_tensor.py, torch/serialization.py), so that the pickles are those of
PyTorch without PyTorch being there. Run it in this folder.
"""
import argparse
import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})
torch._utils = utils


def publish(module, thing, name):
    thing.__module__, thing.__qualname__, thing.__name__ = module.__name__, name, name
    setattr(module, name, thing)
    return thing


publish(utils, lambda *a: None, "_rebuild_tensor_v2")
publish(utils, lambda *a: None, "_rebuild_parameter")


class Storage:
    """A run of elements; code is struct's letter, H for bfloat16's bits."""

    code = ""

    def __init__(self, *values):
        self.data = struct.pack("<%d%s" % (len(values), self.code), *values)
        self.numel = len(values)


def storage_class(name, code):
    return publish(torch, type(name, (Storage,), {"code": code}), name)


Float, Half, BFloat16, Long, Bool = (
    storage_class(n + "Storage", c)
    for n, c in (("Float", "f"), ("Half", "e"), ("BFloat16", "H"), ("Long", "q"), ("Bool", "?")))


class Size(tuple):
    def __reduce__(self):
        return Size, (tuple(self),)


publish(torch, Size, "Size")


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.args = storage, offset, shape, stride

    def __reduce_ex__(self, protocol):
        return utils._rebuild_tensor_v2, self.args + (False, collections.OrderedDict())


class Parameter(Tensor):
    def __reduce_ex__(self, protocol):
        return utils._rebuild_parameter, (Tensor(*self.args), True, collections.OrderedDict())


def checkpoint():
    base = Float(1, 2, 3, 4, 5, 6)
    state = collections.OrderedDict()
    state["module.whole"] = Parameter(base, 0, (2, 3), (3, 1))
    state["module.transposed"] = Tensor(base, 0, (3, 2), (1, 3))
    state["module.tail"] = Tensor(base, 4, (2,), (1,))
    state["module.expanded"] = Tensor(base, 5, (2, 2), (0, 0))
    state["module.half"] = Tensor(Half(1.5, -2, 65504), 0, (3,), (1,))
    state["module.bf16"] = Tensor(BFloat16(0x3FC0, 0xC000), 0, (2,), (1,))
    state["module.num_batches_tracked"] = Tensor(Long(7), 0, (), ())
    state["module.mask"] = Tensor(Bool(True, False), 0, (2,), (1,))
    state["module.none"] = Tensor(Float(), 0, (0, 3), (3, 1))
    state["module.extra"] = 0.5
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    moments = {"step": 10, "exp_avg": Tensor(Float(9, 8), 0, (2,), (1,))}
    return {
        "model": state,
        "optimizer": {"state": {0: moments}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]},
        "args": argparse.Namespace(lr=0.1, output=pathlib.PurePosixPath("/out"), distributed=True, seed=None),
        "shape": Size((2, 3)),
        "epoch": 299, "big": 1 << 70, "negative": -(1 << 40), "bytes": b"\0\1", "set": {1, 2}, "frozen": frozenset([3]),
        "history": [0.5] * 3, "defaults": collections.defaultdict(list, a=[1]), "long text": "x" * 300,
    }


def dump(thing, protocol, legacy):
    """Returns the pickle and the storages it refers to, by key."""
    keys, storages = {}, {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if not isinstance(obj, Storage):
                return None
            key = keys.setdefault(id(obj), str((94000000 if legacy else 0) + len(keys)))
            storages[key] = obj
            return ("storage", type(obj), key, "cpu", obj.numel) + ((None,) if legacy else ())

    out = io.BytesIO()
    Pickler(out, protocol).dump(thing)
    return out.getvalue(), storages


def save_zip(path, thing, protocol):
    data, storages = dump(thing, protocol, legacy=False)
    with zipfile.ZipFile(path, "w") as z:
        def add(name, content):
            z.writestr(zipfile.ZipInfo("archive/" + name), content)
        add("data.pkl", data)
        add("byteorder", b"little")
        for key, storage in storages.items():
            add("data/" + key, storage.data)
        add("version", b"3\n")


def save_legacy(path, thing, protocol):
    data, storages = dump(thing, protocol, legacy=True)
    sizes = {"short": 2, "int": 4, "long": 4}
    with open(path, "wb") as f:
        for head in 0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}:
            pickle.dump(head, f, protocol)
        f.write(data)
        pickle.dump(sorted(storages), f, protocol)
        for key in sorted(storages):
            f.write(struct.pack("<q", storages[key].numel) + storages[key].data)


if __name__ == "__main__":
    for p in range(1, 6):
        save_zip("zip%d.pth" % p, checkpoint(), p)
    for p in 1, 2, 4:
        save_legacy("legacy%d.pth" % p, checkpoint(), p)
