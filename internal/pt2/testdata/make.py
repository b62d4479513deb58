"""Makes net.pt2; PyTorch 2.6: python3 make.py net.pt2"""
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn = nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3, eps=1e-3)
        self.b, self.out, self.n1 = nn.Conv2d(3, 3, 1), nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.register_buffer("gain", torch.full((1,), 0.5), persistent=False)

    def forward(self, x, more):
        y = torch.relu(self.bn(self.a(x)) * self.gain + more["x"])
        y = self.b(y)
        return self.n1(self.out(y.mean((2, 3)))), y


torch.manual_seed(1)
inputs = torch.randn(2, 2, 6, 6), {"x": torch.randn(2, 3, 6, 6)}
torch.export.save(torch.export.export(Net().eval(), inputs), sys.argv[1])
