"""Blocks that were fused and unfused: loaded strictly, run, and trained.

    REPFUSE=./repfuse python3 -m unittest discover -s cmd/repfuse/python -p 'test_*.py'
"""
import os
import subprocess
import tempfile
import unittest
import warnings

import torch
from torch import nn

REPFUSE = os.environ.get("REPFUSE")


def conv(i, o, k, **more):
    return nn.Conv2d(i, o, k, padding=k // 2, **more)


class RepVGG(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        for name, k in (("rbr_dense", 3), ("rbr_1x1", 1)):
            setattr(self, name, nn.Sequential())
            getattr(self, name).add_module("conv", conv(c, c, k, bias=False))
            getattr(self, name).add_module("bn", nn.BatchNorm2d(c))
        self.rbr_identity = nn.BatchNorm2d(c)

    def forward(self, x):
        return self.rbr_dense(x) + self.rbr_1x1(x) + self.rbr_identity(x)


class RRRB(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.expand_conv, self.fea_conv, self.reduce_conv = conv(c, 2 * c, 1), conv(2 * c, 2 * c, 3), conv(2 * c, c, 1)

    def forward(self, x):
        y = self.expand_conv(x)
        return self.reduce_conv(self.fea_conv(y) + y) + x


class Sums(nn.Module):
    """A kernel beside two chains, one of which is wider within."""

    def __init__(self, c=8):
        super().__init__()
        self.dense = nn.Sequential(conv(c, c, 3, bias=False), nn.BatchNorm2d(c))
        self.chain = nn.Sequential(conv(c, 3 * c, 1, bias=False), conv(3 * c, c, 3, bias=False), nn.BatchNorm2d(c))
        self.bare = nn.Sequential(conv(c, c, 1, bias=False), conv(c, c, 3, bias=False))

    def forward(self, x):
        return self.dense(x) + self.chain(x) + self.bare(x)


SUMS = """
families:
  - name: sums
    title: sums
    anchor: [dense.0.weight chain.1.weight bare.1.weight]
    make:
      conv: conv(dense.0) > bn(dense.1) + conv(chain.0) > conv(chain.1) > bn(chain.2) + conv(bare.0) > conv(bare.1)
"""


def weighted(norm):
    return lambda: nn.Sequential(norm(conv(8, 8, 3)))


# Modules, the layer that each becomes, and the flags beside.
BLOCKS = {
    "RepVGG": (RepVGG, "rbr_reparam", []),
    "RRRB": (RRRB, "rep_conv", []),
    "chains": (Sums, "conv", ["--families", "sums.yaml"]),
    "weight norm": (weighted(nn.utils.weight_norm), "0", []),
    "spectral norm": (weighted(nn.utils.spectral_norm), "0", []),
}


def random(model):
    for name, t in model.state_dict().items():
        if name.endswith("running_var"):
            t.uniform_(0.5, 2)
        elif t.is_floating_point() and not name.endswith(("_u", "_v")):
            t.normal_(0, 0.3)
    return model.eval()


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestUnfuse(unittest.TestCase):
    def unfused(self, make, layer, flags, small):
        """A new model with the unfused tensors, and the layer that was fused."""
        torch.manual_seed(1)
        with tempfile.TemporaryDirectory() as at:
            run = lambda *a: subprocess.run([os.path.abspath(REPFUSE), *a], cwd=at, check=True, capture_output=True)
            with open(os.path.join(at, "sums.yaml"), "w") as f:
                f.write(SUMS)
            old, new = nn.ModuleDict({"b": random(make())}), nn.ModuleDict({"b": random(make())})
            torch.save(old.state_dict(), os.path.join(at, "old.pth"))
            torch.save(new.state_dict(), os.path.join(at, "new.pth"))
            run("fuse", "-q", *flags, "old.pth", "fused.pth")
            run("unfuse", "-q", *flags, "--small", str(small), "--like", "new.pth", "fused.pth", "train.pth")
            run("fuse", "-q", *flags, "train.pth", "again.pth")
            fused, again = (torch.load(os.path.join(at, name)) for name in ("fused.pth", "again.pth"))
            self.assertEqual(fused.keys(), again.keys())
            for key in fused:
                self.assertTrue(torch.equal(fused[key], again[key]), key)
            new.load_state_dict(torch.load(os.path.join(at, "train.pth")), strict=True)
            return new["b"], fused["b.%s.weight" % layer], fused.get("b.%s.bias" % layer)

    def test_train(self):
        for name, (make, layer, flags) in BLOCKS.items():
            for small in (0, 0.1):
                with self.subTest(name, small=small):
                    block, weight, bias = self.unfused(make, layer, flags, small)
                    x = torch.randn(2, 8, 9, 9)
                    want = nn.functional.conv2d(x, weight, bias, padding=1)
                    block.double()  # what is left is the float32 of batch norms, 2⁻²⁴ of a kernel
                    self.assertLess((block(x.double()) - want).abs().max() / want.abs().max(), 1e-6)
                    self.check_gradients(block, x.double(), small)

    def check_gradients(self, block, x, small):
        """After three steps each element of each parameter has had a gradient; in each branch, and in each of its
        parameters if it is small, after the first.
        """
        had = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in block.named_parameters()}
        for step in range(3):
            block.zero_grad()
            (block(x) - torch.randn(x.shape)).square().mean().backward()
            for name, p in block.named_parameters():
                had[name] |= p.grad != 0
            if step == 0:
                for branch in block.children():
                    self.assertTrue((all if small else any)(p.grad.any() for p in branch.parameters()), branch)
            with torch.no_grad():
                for p in block.parameters():
                    p -= 0.01 * p.grad
        for name, seen in had.items():
            self.assertTrue(seen.all(), "%s has no gradient" % name)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    unittest.main()
