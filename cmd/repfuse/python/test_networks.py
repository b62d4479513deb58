"""Networks of many kinds, each exported with its graph, fused without a flag, verified, and
put back into the living model, whose outputs have to stay.

    REPFUSE=./repfuse python3 -m unittest discover -s cmd/repfuse/python -p 'test_*.py'
"""
import contextlib
import functools
import io
import json
import operator
import os
import subprocess
import tempfile
import unittest
import warnings

import torch
from torch import nn
from torch.nn import functional as F

import check
import export
import load

REPFUSE = os.environ.get("REPFUSE")


class Named(nn.Module):
    """A network of some modules and a function of them: forward is f(self, *inputs)."""

    def __init__(self, f, **modules):
        super().__init__()
        self.f = f
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs):
        return self.f(self, *inputs)


def conv(i, o, k=3, **more):
    return nn.Conv2d(i, o, k, padding=more.pop("padding", k // 2), bias=more.pop("bias", False), **more)


def conv_bn(i, o, k=3, **more):
    return nn.Sequential(conv(i, o, k, **more), nn.BatchNorm2d(o))


def rep(i, o, stride=1, groups=1):
    parts = {"dense": conv_bn(i, o, 3, stride=stride, groups=groups), "point": conv_bn(i, o, 1, stride=stride, groups=groups)}
    if i == o and stride == 1:
        return Named(lambda s, x: s.dense(x) + s.point(x) + s.skip(x), skip=nn.BatchNorm2d(i), **parts)
    return Named(lambda s, x: s.dense(x) + s.point(x), **parts)


class Activating(nn.BatchNorm2d):
    """A norm with its activation in it, as timm has it."""

    def __init__(self, c):
        super().__init__(c)
        self.act = nn.PReLU()

    def forward(self, x):
        assert x.dim() == 4
        return self.act(super().forward(x))


class Halving(nn.BatchNorm2d):
    """A norm that does more, in no module that can be seen."""

    def forward(self, x):
        return super().forward(x).sigmoid()


class Listing(Halving):
    """A norm with modules that cannot stand in a row."""

    def __init__(self, c):
        super().__init__(c)
        self.acts = nn.ModuleList([nn.Sigmoid()])


def attention(c):
    def forward(s, x):
        b, n, _ = x.shape
        q, k, v = s.bn(s.qkv(x).flatten(0, 1)).view(b, n, 3, c).unbind(2)
        return s.out(torch.softmax(q @ k.transpose(1, 2) / 4, -1) @ v)

    return Named(forward, qkv=nn.Linear(c, 3 * c), bn=nn.BatchNorm1d(3 * c), out=nn.Linear(c, c))


IMAGE = [(2, 6, 12, 12)]

# name: the network, its inputs, how many convolutions and linear layers, and how many batch
# norms, are left when it is fused and put back.
NETWORKS = {
    "conv bn relu": (lambda: nn.Sequential(conv_bn(6, 8), nn.ReLU(), conv_bn(8, 4, 1)), IMAGE, 2, 0),
    "conv relu bn": (lambda: nn.Sequential(conv(6, 8), nn.ReLU(), nn.BatchNorm2d(8)), IMAGE, 1, 1),
    "pre-activation": (lambda: nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), conv(6, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8)), IMAGE, 2, 1),
    "registered in another order": (lambda: Named(lambda s, x: s.bn2(s.conv2(F.relu(s.bn1(x)))), bn2=nn.BatchNorm2d(8), bn1=nn.BatchNorm2d(6), conv2=conv(6, 8)), IMAGE, 1, 1),
    "bn before a padded conv": (lambda: nn.Sequential(nn.BatchNorm2d(6), conv(6, 8)), IMAGE, 1, 1),
    "bn before a point conv": (lambda: nn.Sequential(nn.BatchNorm2d(6), conv(6, 8, 1)), IMAGE, 1, 0),
    "residual": (lambda: Named(lambda s, x: F.relu(s.b(F.relu(s.a(x))) + x), a=conv_bn(6, 6), b=conv_bn(6, 6)), IMAGE, 2, 0),
    "repvgg": (lambda: nn.Sequential(rep(6, 8, 2), nn.ReLU(), rep(8, 8), nn.ReLU(), rep(8, 8, 1, 4)), IMAGE, 3, 0),
    "side by side": (lambda: Named(lambda s, x: s.a(x) + s.b(x), a=conv(6, 8, 5, bias=True), b=conv(6, 8, 3, bias=True)), IMAGE, 1, 0),
    "in a row": (lambda: nn.Sequential(conv(6, 8, 3), conv(8, 8, 1, bias=True), nn.BatchNorm2d(8)), IMAGE, 1, 0),
    "two kernels in a row": (lambda: nn.Sequential(conv(6, 8, 3), conv(8, 8, 3, bias=True), nn.BatchNorm2d(8)), IMAGE, 2, 0),
    "mobileone": (lambda: nn.Sequential(Named(lambda s, x: sum(b(x) for b in s.branches) + s.scale(x) + s.skip(x), branches=nn.ModuleList(conv_bn(6, 6, 3, groups=6) for _ in range(4)),
                                              scale=conv_bn(6, 6, 1, groups=6), skip=nn.BatchNorm2d(6)), nn.ReLU(), conv_bn(6, 8, 1)), IMAGE, 2, 0),
    "mobileone, summed in place": (lambda: Named(lambda s, x: functools.reduce(operator.iadd, (b(x) for b in s.branches), s.scale(x) + s.skip(x)),
                                                branches=nn.ModuleList(conv_bn(6, 6, 3, groups=6) for _ in range(2)), scale=conv_bn(6, 6, 1, groups=6), skip=nn.BatchNorm2d(6)), IMAGE, 1, 0),
    "a norm that activates": (lambda: nn.Sequential(conv(6, 8), Activating(8), conv_bn(8, 4, 1)), IMAGE, 2, 0),
    "a norm that activates by itself": (lambda: nn.Sequential(conv(6, 8), Halving(8), conv_bn(8, 4, 1)), IMAGE, 2, 1),
    "a norm with a list of modules": (lambda: nn.Sequential(conv(6, 8), Listing(8), conv_bn(8, 4, 1)), IMAGE, 2, 1),
    "depthwise": (lambda: nn.Sequential(conv_bn(6, 12, groups=6), nn.ReLU6(inplace=True), conv_bn(12, 4, 1)), IMAGE, 2, 0),
    "dilated": (lambda: Named(lambda s, x: s.a(x) + s.b(x), a=conv_bn(6, 6, 5, groups=6), b=conv_bn(6, 6, 3, padding=2, dilation=2, groups=6)), IMAGE, 1, 0),
    "padded by a function": (lambda: Named(lambda s, x: s.a(F.pad(x, (2, 1, 1, 1))), a=conv_bn(6, 8, padding=0)), IMAGE, 1, 0),
    "strided by a function": (lambda: Named(lambda s, x: s.a(x)[:, :, ::2, ::2] + s.b(x), a=conv_bn(6, 8), b=conv_bn(6, 8, 1, stride=2)), IMAGE, 2, 2),
    "the input itself": (lambda: Named(lambda s, x: s.a(x) + x, a=conv_bn(6, 6)), IMAGE, 1, 0),
    "the input twice, in groups": (lambda: Named(lambda s, x: x + s.a(x) + s.b(x) + x, a=conv_bn(6, 6, 5, groups=3, padding=4, dilation=2), b=conv_bn(6, 6, 1, groups=6)), IMAGE, 1, 0),
    "padded by a function, and the input": (lambda: Named(lambda s, x: s.a(F.pad(x, (2, 1, 2, 1))) + x, a=conv_bn(6, 6, 4, padding=0)), IMAGE, 1, 0),
    "a linear layer and its input": (lambda: Named(lambda s, x: x + s.bn(s.a(x)), a=nn.Linear(6, 6), bn=nn.BatchNorm1d(6)), [(5, 6)], 1, 0),
    "padding by reflection": (lambda: nn.Sequential(conv(6, 8, padding_mode="reflect"), nn.BatchNorm2d(8)), IMAGE, 1, 0),
    "same padding, even kernel": (lambda: nn.Sequential(nn.Conv2d(6, 8, 4, padding="same", bias=False), nn.BatchNorm2d(8)), IMAGE, 1, 0),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(6, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()), IMAGE, 1, 0),
    "transposed in groups": (lambda: nn.Sequential(nn.ConvTranspose2d(6, 8, 3, 2, 1, 1, groups=2), nn.BatchNorm2d(8)), IMAGE, 1, 0),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(6, 8, 5, dilation=2), nn.BatchNorm1d(8), nn.ReLU()), [(2, 6, 30)], 1, 0),
    "three axes": (lambda: nn.Sequential(nn.Conv3d(3, 4, 3, bias=False), nn.BatchNorm3d(4)), [(1, 3, 5, 5, 5)], 1, 0),
    "linear": (lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4, affine=False)), [(5, 6)], 2, 0),
    "bn before linear": (lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8)), [(5, 6)], 1, 0),
    "attention": (lambda: attention(6), [(2, 5, 6)], 2, 0),
    "tokens of an image": (lambda: Named(lambda s, x: s.out(s.bn(s.a(x).flatten(2)).transpose(1, 2)), a=conv(6, 8, 1), bn=nn.BatchNorm1d(8), out=nn.Linear(8, 4)), IMAGE, 2, 0),
    "norm after tokens": (lambda: nn.Sequential(Named(lambda s, x: s.out(x.transpose(1, 2)), out=nn.Linear(6, 4)), Named(lambda s, x: s.bn(x.transpose(1, 2)).relu(), bn=nn.BatchNorm1d(4))), [(2, 6, 4)], 1, 0),
    "norm of other channels": (lambda: Named(lambda s, x: s.bn(s.a(x).transpose(1, 2)), a=nn.Linear(6, 5), bn=nn.BatchNorm1d(5)), [(2, 5, 6)], 1, 0),
    "norm along tokens": (lambda: Named(lambda s, x: s.bn(s.a(x)), a=nn.Linear(6, 5), bn=nn.BatchNorm1d(5)), [(2, 5, 6)], 1, 1),
    "split channels": (lambda: Named(lambda s, x: s.bn(s.a(x).view(2, 2, 4, 12, 12).transpose(1, 2).reshape(2, 8, 12, 12)), a=conv(6, 8), bn=nn.BatchNorm2d(8)), IMAGE, 1, 1),
    "linear then a point conv": (lambda: Named(lambda s, x: s.b(s.a(x).permute(0, 3, 1, 2)), a=nn.Linear(6, 5), b=conv(5, 5, 1)), [(2, 7, 7, 6)], 2, 0),
    "flattened, one position": (lambda: nn.Sequential(conv(6, 8, padding=0), nn.Flatten(), nn.BatchNorm1d(8), nn.ReLU()), [(2, 6, 3, 3)], 1, 0),
    "flattened, each feature its norm": (lambda: nn.Sequential(conv(6, 8, padding=0), nn.Flatten(), nn.BatchNorm1d(32)), [(2, 6, 4, 4)], 1, 1),
    "flattened behind a pool": (lambda: nn.Sequential(conv(6, 8, padding=0), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8)), [(2, 6, 5, 5)], 1, 1),
    "patches": (lambda: Named(lambda s, x: s.bn(s.a(x).flatten(2)).transpose(1, 2), a=conv(6, 8, 4, stride=4, padding=0), bn=nn.BatchNorm1d(8)), IMAGE, 1, 0),
    "no affine": (lambda: nn.Sequential(conv(6, 8), nn.BatchNorm2d(8, eps=1e-3, affine=False)), IMAGE, 1, 0),
    "a norm of two layers": (lambda: Named(lambda s, x: s.bn(s.a(x)) - s.bn(s.b(x)).relu(), a=conv(6, 8), b=conv(6, 8), bn=nn.BatchNorm2d(8)), IMAGE, 2, 1),
    "a layer of two norms": (lambda: Named(lambda s, x: s.one(s.a(x)) * s.two(s.a(x)), a=conv(6, 8), one=nn.BatchNorm2d(8), two=nn.BatchNorm2d(8)), IMAGE, 1, 2),
    "a layer run twice": (lambda: Named(lambda s, x: s.a(F.relu(s.a(x))), a=conv_bn(6, 6)), IMAGE, 1, 0),
    "an inner value that leaves": (lambda: Named(lambda s, x: [s.y(x), s.bn(s.y(x))], y=conv(6, 8), bn=nn.BatchNorm2d(8)), IMAGE, 1, 1),
    "two inputs": (lambda: Named(lambda s, x, y: s.a(x) + s.b(y), a=conv_bn(6, 8), b=conv_bn(6, 8, 1)), IMAGE * 2, 2, 0),
    "in place": (lambda: Named(lambda s, x: s.a(x).add_(s.b(x)).relu_(), a=conv_bn(6, 8), b=conv_bn(6, 8, 1)), IMAGE, 1, 0),
    "written into": (lambda: Named(lambda s, x: s.bn(s.write(s.a(x))), a=conv(6, 8), bn=nn.BatchNorm2d(8)), IMAGE, 1, 1),
    "dropout": (lambda: nn.Sequential(conv(6, 8), nn.Dropout(), nn.BatchNorm2d(8), nn.Dropout2d()), IMAGE, 1, 0),
    "dict of outputs": (lambda: Named(lambda s, x: {"a": s.a(x), "b": (s.b(x),)}, a=conv_bn(6, 8), b=conv_bn(6, 8, 1)), IMAGE, 2, 0),
    "concatenated": (lambda: Named(lambda s, x: s.bn(torch.cat([s.a(x), s.b(x)], 1)).relu(), a=conv(6, 4), b=conv(6, 4, 1), bn=nn.BatchNorm2d(8)), IMAGE, 2, 1),
    "weight norm": (lambda: nn.Sequential(nn.utils.weight_norm(nn.Conv2d(6, 8, 3)), nn.BatchNorm2d(8)), IMAGE, 1, 1),
    "in training mode": (lambda: Named(lambda s, x: F.batch_norm(s.a(x), None, None, training=True), a=conv(6, 8)), IMAGE, 1, 0),
}


# Blocks of which a part is no module, so that no module can take their place.
NO_MODULE = ("strided by a function", "a norm with a list of modules", "a norm that activates by itself")


def random(model):
    """Random statistics, so that folding wrongly shows."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
    return model.eval()


def write(x):
    x[:, :, 0] = 1
    return x


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestNetworks(unittest.TestCase):
    def run_one(self, name):
        make, shapes, layers, norms = NETWORKS[name]
        torch.manual_seed(1)
        model = random(make().double())
        model.write = write
        x = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
        with torch.no_grad():
            want = export.tensors(model(*x))
        with tempfile.TemporaryDirectory() as at:
            src, dst = os.path.join(at, "weights"), os.path.join(at, "out")
            self.assertIsNotNone(export.export(model, src, *x))
            run = subprocess.run([REPFUSE, "fuse", src, dst], capture_output=True, text=True)
            if "no block recognised" in run.stderr:
                self.compare(model, layers, norms)
                return
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertNotIn("assumed", run.stderr)
            run = subprocess.run([REPFUSE, "verify", "--json", src, dst], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(json.loads(run.stdout)["verdict"], "exact")
            with contextlib.redirect_stdout(io.StringIO()) as said:
                right = check.check(model, dst, *x)
            self.assertTrue(right, said.getvalue())
            self.assertRegex(said.getvalue(), "ok: largest difference")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if name in NO_MODULE else "error")
                load.load(model, dst)
        with torch.no_grad():
            got = export.tensors(model(*x))
        for a, b in zip(want, got):
            self.assertTrue(torch.allclose(a, b, rtol=1e-9, atol=1e-9), (a - b).abs().max())
        self.compare(model, layers, norms)

    def compare(self, model, layers, norms):
        self.assertEqual(count(model), (layers, norms))


class Edge(nn.Module):
    """A branch of ECBSR: a point convolution, its border filled with its bias, and a mask times a scale."""

    def __init__(self, c):
        super().__init__()
        point = nn.Conv2d(c, c, 1)
        self.k0, self.b0 = point.weight, point.bias
        self.scale, self.bias, self.mask = nn.Parameter(torch.randn(c, 1, 1, 1)), nn.Parameter(torch.randn(c)), nn.Parameter(torch.randn(c, 1, 3, 3))

    def forward(self, x):
        return F.conv2d(bordered(F.conv2d(x, self.k0, self.b0), self.b0), self.scale * self.mask, self.bias, groups=len(self.bias))


class Wide(nn.Module):
    """Its branch of two convolutions."""

    def __init__(self, c):
        super().__init__()
        point, conv = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, c, 3)
        self.k0, self.b0, self.k1, self.b1 = point.weight, point.bias, conv.weight, conv.bias

    def forward(self, x):
        return F.conv2d(bordered(F.conv2d(x, self.k0, self.b0), self.b0), self.k1, self.b1)


def bordered(y, bias):
    y, b = F.pad(y, (1, 1, 1, 1)), bias.view(1, -1, 1, 1)
    y[:, :, 0:1, :] = b
    y[:, :, -1:, :] = b
    y[:, :, :, 0:1] = b
    y[:, :, :, -1:] = b
    return y


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestComputed(unittest.TestCase):
    """Weights that are computed in steps that the graph does not follow: the names decide, which the verdict says,
    and check proves it in the running model."""

    def test_ecb(self):
        torch.manual_seed(1)
        parts = {"conv3x3": conv(4, 4, bias=True), "conv1x1_3x3": Wide(4), "conv1x1_sbx": Edge(4), "conv1x1_sby": Edge(4), "conv1x1_lpl": Edge(4)}
        model = nn.Sequential(Named(lambda s, x: sum(getattr(s, name)(x) for name in parts), **parts)).double().eval()
        with tempfile.TemporaryDirectory() as at:
            src, dst = os.path.join(at, "weights"), os.path.join(at, "out")
            self.assertIsNotNone(export.export(model, src, torch.randn(1, 4, 8, 8, dtype=torch.float64)))
            run = lambda *args: subprocess.run([REPFUSE, *args], capture_output=True, text=True)
            self.assertIn("whether the block adds its input", run("fuse", src, dst).stderr)
            for answer, right in (("yes", False), ("no", True)):
                done = run("fuse", "--force", "--identity", answer, src, dst)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("what computes its weights is a block of ecbsr", done.stdout)
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    self.assertEqual(check.check(model, dst, torch.randn(1, 4, 8, 8)), right, said.getvalue())


def count(model):
    kinds = (nn.Linear, nn.modules.conv._ConvNd), nn.modules.batchnorm._BatchNorm
    return tuple(sum(isinstance(m, kind) for m in model.modules()) for kind in kinds)


for name in NETWORKS:
    setattr(TestNetworks, "test_" + name.replace(" ", "_").replace("-", "_").replace(",", ""), lambda self, name=name: self.run_one(name))


if __name__ == "__main__":
    unittest.main()
