"""What the trace of a network of ResNet-50's size costs, beside what PyTorch costs to import.

python bench/rivals/trace.py ROUNDS: prints the medians in seconds and their ratio, as the columns of a table.
Each import is a process of its own; the trace is export.graph on the meta device, graph.json written and all.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../cmd/repfuse/python"))
import export
from torch import nn


class Bottleneck(nn.Module):
    def __init__(self, i, c, stride):
        super().__init__()
        part = lambda i, o, k, s: nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))
        self.a, self.b, self.c = part(i, c, 1, 1), part(c, c, 3, stride), part(c, 4 * c, 1, 1)
        self.down = part(i, 4 * c, 1, stride) if stride > 1 or i != 4 * c else nn.Identity()

    def forward(self, x):
        return (self.c(self.b(self.a(x).relu()).relu()) + self.down(x)).relu()


def resnet50():
    """53 convolutions, as many batch norms, 25.6 million parameters."""
    layers, i = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for c, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(count):
            layers.append(Bottleneck(i, c, stride if k == 0 else 1))
            i = 4 * c
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 1000))


model = resnet50()
imports, traces = [], []
for _ in range(int(sys.argv[1]) + 1):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    imports.append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as at:
        start = time.perf_counter()
        assert export.graph(model, os.path.join(at, "graph.json"), (1, 3, 224, 224)) == "meta"
        traces.append(time.perf_counter() - start)
one, other = statistics.median(imports[1:]), statistics.median(traces[1:])
print("%.2f | %.2f | %.2f" % (one, other, other / one))
