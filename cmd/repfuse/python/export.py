"""Exports a PyTorch model for repfuse. This is what `repfuse exporter > export.py` prints.

    import export
    export.export(model, "weights", x)                # KEY.npy for every entry, modules.json, graph.json
    export.export(model, "weights")                   # without graph.json
    export.graph(model, "graph.json", x)              # that alone, for a checkpoint saved another way

    python3 export.py CHECKPOINT.pth weights [KEY]    # a file that holds a state_dict (under KEY)

Every entry of model.state_dict() becomes one KEY.npy, as numpy has them.
modules.json holds what keys cannot say and fusing depends on: for every module its
class, eps, kernel, stride, padding, dilation, groups, its own booleans and numbers,
and the children that have no keys. graph.json holds what stands between the modules:
the operators of one forward pass in eval mode. x is an input, or its shape; the pass
runs on a copy on the meta device, where nothing is computed, if the model allows it.
With the graph repfuse assumes nothing. A state_dict alone is exported without both, and
repfuse then says what it has to assume.
"""
import copy
import json
import math
import os
import sys

import torch
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import AvgPool1d, AvgPool2d, AvgPool3d
from torch.utils._python_dispatch import TorchDispatchMode

VERSION = 1  # of modules.json, and of graph.json
INLINE = 4096  # how many numbers of a constant graph.json holds


def export(model, directory, *inputs, force=False):
    """Saves a model, or a state_dict, to a directory that holds no .npy file yet, or with force
    in the place of those that it holds; with example inputs, or their shapes, also what the
    model computes. Returns how the graph was made: "meta", "real", or None where there is
    none, of which a line is printed."""
    is_model = isinstance(model, torch.nn.Module)
    state = model.state_dict() if is_model else model
    check(state)
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if name.endswith(".npy") or name in ("modules.json", "graph.json", "repfuse.json"):
            if not force:
                raise FileExistsError("%s holds %s already: old tensors would pass for new ones; force=True replaces them" % (directory, name))
            os.remove(os.path.join(directory, name))
    for key, tensor in state.items():
        # "x": two keys that this file system takes for one (A and a) are an error.
        with open(os.path.join(directory, key + ".npy"), "xb") as f:
            save(f, key, tensor)
    if is_model:
        with open(os.path.join(directory, "modules.json"), "x") as f:
            json.dump({"version": VERSION, "modules": facts(model, state)}, f, indent=1, allow_nan=False)
    if not inputs:
        return None
    try:
        return graph(model, os.path.join(directory, "graph.json"), *inputs)
    except Exception as err:  # the weights are worth having without
        print("export: no graph.json: %s" % err, file=sys.stderr)
        return None


def check(state):
    """Raises an error for what one .npy file cannot hold, before any is written."""
    if not isinstance(state, dict):
        raise TypeError("a %s, want a model or a state_dict" % type(state).__name__)
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError("%s is a %s, not a tensor: .npy files cannot keep it" % (key, type(value).__name__))
        if not key or any(c in key for c in '/\\:\0'):
            raise ValueError("%r cannot be a file name" % key)


# The element types of numpy. It has no bfloat16: the two bytes of each element are kept
# as raw bytes, which `repfuse fuse --bfloat16` reads as what they were.
TYPES = {
    torch.float64: "<f8", torch.float32: "<f4", torch.float16: "<f2", torch.bfloat16: "|V2", torch.bool: "|b1", torch.uint8: "|u1",
    torch.int8: "|i1", torch.int16: "<i2", torch.int32: "<i4", torch.int64: "<i8", torch.complex64: "<c8", torch.complex128: "<c16",
}


def save(f, key, tensor):
    """Writes a tensor as np.save does."""
    if tensor.dtype not in TYPES or tensor.layout != torch.strided or sys.byteorder != "little":
        raise TypeError("%s: numpy has no such tensor: %s, %s" % (key, tensor.dtype, tensor.layout))
    head = repr({"descr": TYPES[tensor.dtype], "fortran_order": False, "shape": tuple(tensor.shape)})
    head += " " * (-(len(head) + 11) % 64) + "\n"
    f.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode("latin1"))
    f.write(tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def facts(model, state):
    """What the module tree knows and the keys do not, by module path."""
    prefixes = {key[:i] for key in state for i, c in enumerate(key) if c == "."}
    modules = {}
    for path, module in model.named_modules(remove_duplicate=False):
        entry = {"class": type(module).__name__}
        if isinstance(getattr(module, "eps", None), float):
            entry["eps"] = module.eps
        entry.update(geometry(module))
        keyless = {
            name: type(child).__name__
            for name, child in module.named_children()
            if (path + "." + name if path else name) not in prefixes
        }
        if keyless:
            entry["keyless"] = keyless
        flags = {name: value for name, value in vars(module).items() if name not in entry and is_flag(name, value)}
        if flags:
            entry["flags"] = flags
        modules[path] = entry
    return modules


def is_flag(name, value):
    """A module's own boolean or number; whether it is in training is not among them."""
    if name.startswith("_") or name == "training":
        return False
    return type(value) in (bool, int) or (type(value) is float and math.isfinite(value))


def geometry(module):
    """Kernel, stride, padding and so on, one number for each axis of the image."""
    if isinstance(module, _ConvNd):
        axes = len(module.kernel_size)
        entry = {
            "kernel": per_axis(module.kernel_size, axes),
            "stride": per_axis(module.stride, axes),
            "dilation": per_axis(module.dilation, axes),
            "groups": module.groups,
            "padding_mode": module.padding_mode,
        }
        if module.transposed:
            entry["transposed"] = True
        padding = numbers(module.padding, entry["kernel"], entry["dilation"])
        if padding is not None:
            entry["padding"] = padding
        return entry
    for axes, pool in enumerate((AvgPool1d, AvgPool2d, AvgPool3d), start=1):
        if isinstance(module, pool):
            names = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
            return {name: per_axis(value, axes) for name, value in names.items()}
    return {}


def per_axis(value, axes):
    """3 stands for (3, 3)."""
    return [value] * axes if isinstance(value, int) else list(value)


def numbers(padding, kernel, dilation):
    """A convolution's padding, 'valid' and 'same' resolved; None where 'same' pads
    the two sides of an axis differently, which no number says."""
    if padding == "valid":
        return [0] * len(kernel)
    if padding == "same":
        reach = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return None if any(r % 2 for r in reach) else [r // 2 for r in reach]
    return per_axis(padding, len(kernel))


def graph(model, path, *inputs):
    """Writes graph.json: every operator of one forward pass of the model, in eval mode.
    An input is a tensor, a shape such as (1, 3, 224, 224), or a list or dict of tensors.
    Returns "meta", or "real" where the pass ran with the weights and the inputs given."""
    found = trace(model, inputs)
    with open(path, "x") as f:
        json.dump(found, f, separators=(",", ":"), allow_nan=False)
    return found["device"]


def trace(model, inputs):
    """Runs a copy of the model on the meta device; if it cannot, as it is."""
    whys = []
    for device in ("meta", None):
        tracer = Trace(model, device)
        try:
            found = tracer.run(inputs)
        except Exception as err:  # an operator without a meta kernel, or code that reads values
            whys.append("%s, %s: %s" % (device or "real", tracer.last, str(err).strip().split("\n")[0]))
        else:
            return dict(found, why="; ".join(whys))
    raise RuntimeError("the forward pass fails (%s)" % "; ".join(whys))


class Trace(TorchDispatchMode):
    """Sees every ATen operator, and numbers the tensors that go in and come out."""

    def __init__(self, model, device, stand_in=None):
        super().__init__()
        self.device, self.values, self.ops, self.constants, self.inside = device, [], [], {}, []
        self.last = "before the first operator"
        self.known = {}  # id of a tensor -> [the tensor, its value's number, id of the tensor whose memory it shows]
        # The copy shares the parameters or has stand-ins for them: no weight is copied.
        if device:
            stand_in = lambda t: torch.empty_like(t, device=device)
        memo = {id(p): torch.nn.Parameter(stand_in(p), False) if stand_in else p for p in model.parameters()}
        if stand_in:
            memo.update((id(b), stand_in(b)) for b in model.buffers())
        # weight_norm and its kin leave what they computed in the module, which cannot be copied as it is.
        memo.update((id(t), t.detach()) for module in model.modules() for t in tensors(vars(module)) if t.grad_fn is not None)
        self.model = copy.deepcopy(model, memo).eval()
        self.keys = {key: self.number(t) for key, t in self.model.state_dict(keep_vars=True).items() if isinstance(t, torch.Tensor)}
        for t, real in zip(self.model.buffers(), model.buffers()):
            if id(t) not in self.known:  # it is not in the state_dict
                self.constant(t, real)
        for path, module in self.model.named_modules():
            module.register_forward_pre_hook(lambda module, args, path=path: self.inside.append(path))
            module.register_forward_hook(lambda module, args, out: (self.inside.pop(), None)[1])

    def run(self, inputs):
        given = [torch.zeros(x) if shape(x) else x for x in inputs]
        if self.device:
            given = [mapped(x, lambda t: t.to(self.device)) for x in given]
        starts = [self.number(t) for t in tensors(given)]
        with torch.no_grad(), self:
            out = self.model(*given)
        held = [t for module in self.model.modules() for t in tensors(vars(module))]  # what a forward leaves in its module
        ends = {self.known[id(t)][1] for t in tensors(out) + held if id(t) in self.known}
        return {
            "version": VERSION, "torch": torch.__version__, "device": self.device or "real",
            "inputs": starts, "outputs": sorted(ends - set(self.keys.values()) - set(self.constants)), "keys": self.keys, "constants": self.constants,
            "classes": {path: type(module).__name__ for path, module in self.model.named_modules()},
            "values": self.values, "ops": self.ops,
        }

    def number(self, t, base=None):
        """Gives a tensor a value of its own, where it has none."""
        if id(t) not in self.known:
            self.known[id(t)] = [t, None, base or id(t)]
            self.renumber(t)
        return self.known[id(t)][1]

    def renumber(self, t):
        """Gives a tensor another value: something was written into it."""
        self.known[id(t)][1] = len(self.values)
        self.values.append([str(t.dtype)[6:], *t.shape])
        return self.known[id(t)][1]

    def constant(self, t, real):
        """A tensor that no key holds; a small one is written down."""
        n = self.number(t)
        if not real.is_meta and real.numel() <= INLINE and not real.is_complex():
            self.constants[n] = [plain(x) for x in real.flatten().tolist()]
        return n

    def said(self, x):
        """An argument, as JSON has it: a tensor is "%" and its number."""
        if isinstance(x, torch.Tensor):
            return "%%%d" % (self.number(x) if id(x) in self.known else self.constant(x, x))
        if isinstance(x, (list, tuple)):
            return [self.said(y) for y in x]
        return plain(x)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, self.last = kwargs or {}, "at %s" % func
        op = {"op": str(func), "at": self.inside[-1] if self.inside else "", "in": self.said(args), "named": {k: self.said(v) for k, v in kwargs.items()}}
        out = func(*args, **kwargs)
        given = list(zip(func._schema.arguments, args)) + [(a, kwargs[a.name]) for a in func._schema.arguments if a.name in kwargs]
        written = [t for a, x in given if a.alias_info is not None and a.alias_info.is_write for t in tensors(x)]
        shown = [t for a, x in given if a.alias_info is not None for t in tensors(x)]
        views = shown and any(r.alias_info is not None for r in func._schema.returns)
        before = {id(t): self.known[id(t)][1] for t in written}
        for t in written:
            self.renumber(t)
        ends = {id(t): self.number(t, self.known[id(shown[0])][2] if views else None) for t in written + tensors(out)}
        op["out"] = list(ends.values())
        self.ops.append(op)
        for t in written:  # whatever shows the same memory has changed with it
            for other, n, base in [entry for key, entry in self.known.items() if entry[2] == self.known[id(t)][2] and key not in ends]:
                self.ops.append({"op": "changed", "at": op["at"], "in": ["%%%d" % n, "%%%d" % self.known[id(t)][1]], "named": {}, "out": [self.renumber(other)]})
        return out


def tensors(x):
    """All tensors in an argument or a result, however nested."""
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, dict):
        return [t for y in x.values() for t in tensors(y)]
    if isinstance(x, (list, tuple, set)):
        return [t for y in x for t in tensors(y)]
    return tensors(vars(x)) if hasattr(x, "__dataclass_fields__") else []


def mapped(x, f):
    """An argument with f of each tensor in it."""
    if isinstance(x, torch.Tensor):
        return f(x)
    if isinstance(x, dict):
        return {k: mapped(y, f) for k, y in x.items()}
    return type(x)(mapped(y, f) for y in x) if isinstance(x, (list, tuple)) else x


def shape(x):
    return isinstance(x, (list, tuple)) and len(x) > 0 and all(type(n) is int for n in x)


def plain(x):
    """A number, a word or nothing; whatever else there is, and infinities, by name."""
    return x if x is None or type(x) in (bool, int, str) or type(x) is float and x - x == 0 else str(x)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: %s CHECKPOINT DIR [KEY]" % sys.argv[0])
    state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
    if len(sys.argv) == 4:
        state = state[sys.argv[3]]
    try:
        export(state, sys.argv[2])
    except (TypeError, ValueError, OSError) as err:
        sys.exit("%s: %s" % (sys.argv[1], err))


if __name__ == "__main__":
    main()
