"""What repfuse is compared with: the same job by a script, for RepVGG and MobileOne.

    python3 fuse.py numpy|torch IN OUT

numpy is the best effort in float32: a block at a time, in place, what is not fused
copied by the system. torch is the same with PyTorch's operators.
"""
import os
import re
import shutil
import sys

import numpy as np

# A branch's convolution or batch norm, and where the fused convolution goes.
BRANCHES = re.compile(r"(.*)\.(rbr_dense|rbr_1x1|rbr_identity|rbr_conv\.\d+|rbr_scale|rbr_skip)\.(.*)")
FUSED = {"rbr_dense": "rbr_reparam", "rbr_conv": "reparam_conv"}
EPS = 1e-5


def blocks(folder):
    """The keys of every block by branch, and the files that belong to none."""
    found, rest = {}, []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".npy"):
            continue
        match = BRANCHES.fullmatch(name[:-len(".npy")])
        if match is None:
            rest.append(name)
        else:
            path, branch, _ = match.groups()
            found.setdefault(path, set()).add(branch)
    return found, rest


def fuse(load, sqrt, path, branches):
    """One block's kernel and bias."""

    def bn(at):
        scale = load(at + ".weight") / sqrt(load(at + ".running_var") + EPS)
        return scale, load(at + ".bias") - load(at + ".running_mean") * scale

    kernel = bias = None
    # The largest kernel first: the others are added into it.
    order = sorted(branches, key=lambda b: not b.startswith(("rbr_dense", "rbr_conv")))
    for branch in order:
        at = path + "." + branch
        if branch in ("rbr_identity", "rbr_skip"):
            scale, shift = bn(at)
            centre, out = kernel.shape[-1] // 2, np.arange(len(kernel))
            kernel[out, out % kernel.shape[1], centre, centre] += scale
        else:
            scale, shift = bn(at + ".bn")
            k = load(at + ".conv.weight")
            k *= scale.reshape(-1, 1, 1, 1)
            if kernel is None:
                kernel = k
            elif k.shape[-1] == kernel.shape[-1]:
                kernel += k
            else:
                centre = kernel.shape[-1] // 2
                kernel[:, :, centre, centre] += k[:, :, 0, 0]
        bias = shift if bias is None else bias + shift
    return FUSED[order[0].split(".")[0]], kernel, bias


def main():
    library, source, target = sys.argv[1:]
    os.mkdir(target)
    found, rest = blocks(source)
    for name in rest:
        shutil.copyfile(os.path.join(source, name), os.path.join(target, name))

    def read(key):
        return np.load(os.path.join(source, key + ".npy"))

    def write(key, array):
        np.save(os.path.join(target, key + ".npy"), array)

    if library == "torch":
        import torch

        torch.set_num_threads(os.cpu_count())

        def load(key):
            return torch.from_numpy(read(key))

        def save(key, tensor):
            write(key, tensor.numpy())

        sqrt = torch.sqrt
    else:
        load, save, sqrt = read, write, np.sqrt
    for path, branches in found.items():
        name, kernel, bias = fuse(load, sqrt, path, branches)
        save("%s.%s.weight" % (path, name), kernel)
        save("%s.%s.bias" % (path, name), bias)


main()
