"""What `repfuse verify` is compared with: both forms of a RepVGG in PyTorch.

    python3 verify.py IN OUT

Runs the branches of every block of IN and the fused convolution of OUT on one random
14×14 image, in float32, and prints the largest difference. It asserts nothing and
does not look at what passes through.
"""
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

DENSE = ".rbr_dense.conv.weight.npy"


def tensor(folder, key):
    return torch.from_numpy(np.load(os.path.join(folder, key + ".npy")))


def batch_norm(x, folder, key):
    stat = lambda name: tensor(folder, key + "." + name)
    return F.batch_norm(x, stat("running_mean"), stat("running_var"), stat("weight"), stat("bias"), False, 0, 1e-5)


def difference(before, after, block):
    dense = tensor(before, block + ".rbr_dense.conv.weight")
    x = torch.rand(1, dense.shape[1], 14, 14) * 2 - 1
    y = batch_norm(F.conv2d(x, dense, padding=1), before, block + ".rbr_dense.bn")
    point = F.conv2d(x, tensor(before, block + ".rbr_1x1.conv.weight"))
    y += batch_norm(point, before, block + ".rbr_1x1.bn")
    if os.path.exists(os.path.join(before, block + ".rbr_identity.weight.npy")):
        y += batch_norm(x, before, block + ".rbr_identity")
    fused = F.conv2d(x, tensor(after, block + ".rbr_reparam.weight"), tensor(after, block + ".rbr_reparam.bias"), padding=1)
    return (y - fused).abs().max().item()


def main():
    before, after = sys.argv[1:3]
    blocks = sorted(name[:-len(DENSE)] for name in os.listdir(before) if name.endswith(DENSE))
    with torch.no_grad():
        print(max(difference(before, after, block) for block in blocks))


if __name__ == "__main__":
    main()
