"""Exports a PyTorch model for repfuse. This is what `repfuse exporter > export.py` prints.

    import export
    export.export(model, "weights")                   # KEY.npy for every entry, and modules.json

    python3 export.py CHECKPOINT.pth weights [KEY]    # a file that holds a state_dict (under KEY)

Every entry of model.state_dict() becomes one KEY.npy, as np.save writes it.
modules.json holds what keys cannot say and fusing depends on: for every module its
class, eps, kernel, stride, padding, dilation, groups, its own booleans and numbers,
and the children that have no keys. A state_dict alone is exported without it, and
repfuse then says what it has to assume.
"""
import json
import math
import os
import sys

import numpy as np
import torch
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import AvgPool1d, AvgPool2d, AvgPool3d

VERSION = 1  # of modules.json


def export(model, directory):
    """Saves a model, or a state_dict, to a directory that holds no .npy file yet."""
    is_model = isinstance(model, torch.nn.Module)
    state = model.state_dict() if is_model else model
    check(state)
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if name.endswith(".npy") or name == "modules.json":
            raise FileExistsError("%s holds %s already: old tensors would pass for new ones" % (directory, name))
    for key, tensor in state.items():
        # "x": two keys that this file system takes for one (A and a) are an error.
        with open(os.path.join(directory, key + ".npy"), "xb") as f:
            np.save(f, array(key, tensor), allow_pickle=False)
    if is_model:
        with open(os.path.join(directory, "modules.json"), "x") as f:
            json.dump({"version": VERSION, "modules": facts(model, state)}, f, indent=1, allow_nan=False)


def check(state):
    """Raises an error for what one .npy file cannot hold, before any is written."""
    if not isinstance(state, dict):
        raise TypeError("a %s, want a model or a state_dict" % type(state).__name__)
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError("%s is a %s, not a tensor: .npy files cannot keep it" % (key, type(value).__name__))
        if not key or any(c in key for c in '/\\:\0'):
            raise ValueError("%r cannot be a file name" % key)


def array(key, tensor):
    """The tensor as numpy sees it."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        # numpy has no bfloat16. The two bytes of each element are kept as they are,
        # as raw bytes (|V2), which `repfuse fuse --bfloat16` reads as what they were.
        return tensor.view(torch.int16).numpy().view("V2")
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError) as err:
        raise TypeError("%s: numpy has no such tensor: %s" % (key, err)) from err


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
