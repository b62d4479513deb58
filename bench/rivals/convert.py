"""What repfuse is compared with: a RepVGG converted as its users do it, by model classes.

    python3 convert.py IN.pth OUT.pth

Builds the model in the form it is trained in, loads the checkpoint into it, has every
block make its one convolution in float32, and saves the state dict of what is left.
"""
import os
import re
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/pytorch"))
from models import RepVGG, TrainBlock  # noqa: E402

torch.set_num_threads(os.cpu_count())


def stages(state):
    """How many blocks each stage has, and their channels."""
    found = {}
    for key, tensor in state.items():
        match = re.fullmatch(r"stage(\d)\.(?:(\d+)\.)?rbr_dense\.conv\.weight", key)
        if match:
            blocks, _ = found.get(match[1], (0, 0))
            found[match[1]] = blocks + 1, len(tensor)
    return [found[k] for k in sorted(found)]


def folded(kernel, bn):
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return kernel * scale.reshape(-1, 1, 1, 1), bn.bias - bn.running_mean * scale


def deploy(block):
    """Gives a block one convolution in the place of its branches."""
    kernel, bias = folded(block.rbr_dense.conv.weight, block.rbr_dense.bn)
    point, shift = folded(block.rbr_1x1.conv.weight, block.rbr_1x1.bn)
    kernel, bias = kernel + F.pad(point, [1, 1, 1, 1]), bias + shift
    if block.rbr_identity is not None:
        one = torch.eye(len(kernel)).reshape(*point.shape)
        point, shift = folded(one, block.rbr_identity)
        kernel, bias = kernel + F.pad(point, [1, 1, 1, 1]), bias + shift
    conv = block.rbr_dense.conv
    block.rbr_reparam = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 3, conv.stride, padding=1)
    block.rbr_reparam.weight.data, block.rbr_reparam.bias.data = kernel, bias
    for branch in ("rbr_dense", "rbr_1x1", "rbr_identity"):
        delattr(block, branch)


def main():
    source, target = sys.argv[1:]
    state = torch.load(source, map_location="cpu")
    model = RepVGG(TrainBlock, stages(state))
    model.load_state_dict(state)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, TrainBlock):
                deploy(module)
    torch.save(model.state_dict(), target)


main()
