"""What PyTorch and numpy say is in a checkpoint, for a test that compares.

    conformance.py make DIR   write checkpoints of every kind into DIR
    conformance.py dump       answer the questions on standard input

A question is [file, path of a state dict in it, whether to read with weights_only=True],
its answer a list of [key, element type, shape, SHA-256 of the bytes in order]; both
stand in lists, in JSON.
"""
import collections
import hashlib
import json
import os
import pickle
import sys
import types

import numpy
import torch


class Stub(torch.nn.Module):
    """Stands for a class whose source is not here."""


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (Stub,), {})


# A pickle module for torch.load that needs no model's source. PyTorch 1.13 looks
# for one in its own namespace, later ones in the argument.
stubs = types.SimpleNamespace(**{**vars(pickle), "Unpickler": Unpickler, "load": lambda f, **kw: Unpickler(f, **kw).load()})
torch.serialization.pickle = stubs


def describe(key, t):
    if isinstance(t, tuple):
        t = t[1]
    if isinstance(t, numpy.ndarray):
        kind, shape = t.dtype.name, t.shape
        b = t.astype(t.dtype.newbyteorder("<")).tobytes()
    else:
        t = t.detach()
        kind, shape = str(t.dtype).replace("torch.", ""), t.shape
        if t.dtype == torch.bfloat16:
            t = t.contiguous().view(torch.int16)
        b = t.contiguous().numpy().tobytes()
    return [key, kind, list(shape), hashlib.sha256(b).hexdigest()]


def is_tensor(v):
    return isinstance(v, (torch.Tensor, numpy.ndarray)) or isinstance(v, tuple) and len(v) == 2


def read(path, safe):
    if path.endswith(".pdparams"):
        with open(path, "rb") as f:
            return pickle.load(f)
    if safe:
        return torch.load(path, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", pickle_module=stubs)


def at(obj, path):
    """The state dict at a path such as ema.module; "." is the outermost."""
    if path == ".":
        return obj
    if path in ("state_dict.avg_model", "state_dict.model"):
        sd = obj["state_dict"]
        out = {k: v for k, v in sd.items() if not k.startswith("avg_model.")}
        if path.endswith("avg_model"):
            out.update({k[4:]: v for k, v in sd.items() if k.startswith("avg_model.")})
        return out
    for name in path.split("."):
        obj = obj[name]
    return obj


def dump(path, state, safe):
    obj = at(read(path, safe), state)
    if isinstance(obj, torch.nn.Module):
        obj = obj.state_dict()
    return [describe(k, v) for k, v in obj.items() if is_tensor(v)]


def kinds():
    """A state dict of every element type and every way to lie in a storage."""
    g = torch.Generator().manual_seed(1)
    base = torch.randn(40, 60, generator=g)
    sd = collections.OrderedDict()
    for d in ("float64", "float32", "float16", "bfloat16", "complex64", "complex128"):
        sd["type." + d] = torch.randn(3, 4, generator=g).to(getattr(torch, d))
    for d in ("int64", "int32", "int16", "int8", "uint8", "bool"):
        sd["type." + d] = torch.randint(0, 2, (5, 3), generator=g).to(getattr(torch, d))
    sd["scalar"] = torch.tensor(7)
    sd["empty"] = torch.zeros(3, 0, 2)
    sd["base"] = base
    sd["transposed"] = base.t()
    sd["part"] = base[3:30:2, 5:50:3]
    sd["row"] = base[7]
    sd["column"] = base[:, 11]
    sd["expanded"] = base[2].expand(5, 4, 60)
    sd["point.expanded"] = base[0, 0].expand(17)
    sd["channels_last"] = torch.randn(6, 5, 3, 3, generator=g).to(memory_format=torch.channels_last)
    sd["wide.transposed"] = torch.randn(300, 700, generator=g).t()
    sd["long.transposed"] = torch.randn(3, 90000, generator=g).t()
    sd["half.permuted"] = torch.randn(9, 70, 80, generator=g).half().permute(2, 0, 1)
    sd["parameter"] = torch.nn.Parameter(base[:4])
    sd["naïve key"] = torch.ones(2)
    return sd


def make(folder):
    to = lambda name: os.path.join(folder, name)
    torch.save(kinds(), to("kinds.pth"))
    torch.save(kinds(), to("kinds_legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save(kinds(), to("kinds_protocol4.pth"), pickle_protocol=4)
    torch.save({"epoch": 1, "best": torch.tensor(3.0), "model": {"a.weight": torch.ones(2)}}, to("nested.pt"))
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False), torch.nn.BatchNorm2d(8, eps=1e-3), torch.nn.ReLU())
    net.register_buffer("fleeting", torch.zeros(3), persistent=False)
    torch.save(net, to("module.pt"))
    torch.save(net, to("module_legacy.pt"), _use_new_zipfile_serialization=False)
    rng = numpy.random.default_rng(2)
    arrays = {"f4": rng.standard_normal((30, 50), "float32"), "f2": rng.standard_normal((3, 5)).astype("float16"),
              "columns": numpy.asfortranarray(rng.standard_normal((40, 50))), "scalar": numpy.array(3.5),
              "big": rng.standard_normal((20, 30)).astype(">f4"), "i8": numpy.arange(9), "large": rng.standard_normal((60, 50), "float32")}
    for protocol in (2, 3, 4):
        with open(to("arrays%d.pdparams" % protocol), "wb") as f:
            pickle.dump(arrays, f, protocol)
    with open(to("named.pdparams"), "wb") as f:
        pickle.dump({k: (k + "_0", v) for k, v in arrays.items()}, f, 4)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        json.dump([dump(*question) for question in json.load(sys.stdin)], sys.stdout)
