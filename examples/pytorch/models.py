"""The models of this example, in the form that each is trained in, and two of them in the form
that they are deployed in too. Key names are those of the projects the forms come from.

RepVGG: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021.
"""
from collections import OrderedDict

import torch
from torch import nn

CLASSES = 1000

# RepVGG-A0 by stage: blocks, channels. The first block of each halves the image.
A0 = [(1, 48), (2, 48), (4, 96), (14, 192), (1, 1280)]


def conv_bn(c_in, c_out, kernel, stride):
    """A convolution that keeps the image's size (but for its stride), then its batch norm."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(c_out)))


class TrainBlock(nn.Module):
    """relu( bn(conv3x3(x)) + bn(conv1x1(x)) + bn(x) ); the last where shapes allow it."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.rbr_dense = conv_bn(c_in, c_out, 3, stride)
        self.rbr_1x1 = conv_bn(c_in, c_out, 1, stride)
        self.rbr_identity = nn.BatchNorm2d(c_in) if c_in == c_out and stride == 1 else None

    def forward(self, x):
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        if self.rbr_identity is not None:
            y = y + self.rbr_identity(x)
        return y.relu()


class DeployBlock(nn.Module):
    """relu( conv3x3(x) ): what the three branches are, as one convolution."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.rbr_reparam = nn.Conv2d(c_in, c_out, 3, stride, padding=1)

    def forward(self, x):
        return self.rbr_reparam(x).relu()


class RepVGG(nn.Module):
    """Five stages of blocks of one kind, the mean over the image, a linear layer."""

    def __init__(self, block, stages):
        super().__init__()
        c_in = 3
        for i, (blocks, c_out) in enumerate(stages):
            stage = [block(c_in, c_out, 2)] + [block(c_out, c_out, 1) for _ in range(blocks - 1)]
            setattr(self, "stage%d" % i, stage[0] if i == 0 else nn.Sequential(*stage))
            c_in = c_out
        self.stages = len(stages)
        self.linear = nn.Linear(c_in, CLASSES)

    def forward(self, x):
        for i in range(self.stages):
            x = getattr(self, "stage%d" % i)(x)
        return self.linear(x.mean(dim=(2, 3)))


class TwoChannels(nn.Module):
    """conv3x3(x) + conv1x1(x) + x, with biases and without batch norm."""

    def __init__(self):
        super().__init__()
        self.conv3x3 = nn.Conv2d(2, 2, 3, padding=1)
        self.conv1x1 = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.conv3x3(x) + self.conv1x1(x) + x


class TwoChannelsDeploy(nn.Module):
    """The same as one convolution."""

    def __init__(self):
        super().__init__()
        self.fused = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.fused(x)


class OwnBlock(nn.Module):
    """A block that no family knows: relu( bn(conv5x5(x)) + bn(conv1x3(x)) + bn(x) ), depthwise."""

    def __init__(self, channels):
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.flat = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), groups=channels, bias=False)
        self.after_wide, self.after_flat, self.still = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels, eps=1e-3), nn.BatchNorm2d(channels)

    def forward(self, x):
        return (self.after_wide(self.wide(x)) + self.after_flat(self.flat(x)) + self.still(x)).relu()


class Residual(nn.Module):
    """An ordinary residual block: relu( bn(conv3x3(relu(bn(conv3x3(x))))) + shortcut(x) )."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.one, self.two = conv_bn(c_in, c_out, 3, stride), conv_bn(c_out, c_out, 3, 1)
        self.shortcut = conv_bn(c_in, c_out, 1, stride) if c_in != c_out else nn.Identity()

    def forward(self, x):
        return (self.two(self.one(x).relu()) + self.shortcut(x)).relu()


# Train form, deploy form if it has one, shape of an input, layers one after the other.
MODELS = {
    "repvgg-a0": (lambda: RepVGG(TrainBlock, A0), lambda: RepVGG(DeployBlock, A0), (3, 224, 224), 22),
    "two-channels": (TwoChannels, TwoChannelsDeploy, (2, 32, 32), 1),
    "own-blocks": (lambda: nn.Sequential(*[OwnBlock(8) for _ in range(3)]), None, (8, 32, 32), 3),
    "residual": (lambda: nn.Sequential(Residual(3, 16, 1), Residual(16, 16, 1), Residual(16, 32, 2)), None, (3, 32, 32), 6),
}
