"""Results that are wrong, and what check.py says of them: what names alone cannot know. Each is
fused by a plan that claims what a family or the user could have claimed."""
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest

import torch
from torch import nn
from torch.nn import functional as F

import check
import export
from test_networks import IMAGE, REPFUSE, Named, conv, random


def block(f, eps=1e-5, **more):
    """A network whose only block is the module m, with a convolution, another and a batch norm."""
    parts = {"a": conv(6, 6, bias=True), "b": conv(6, 6, 1, bias=True), "bn": nn.BatchNorm2d(6, eps=eps)}
    return Named(lambda s, x: F.relu(s.m(x)), m=Named(f, **dict(parts, **more)))


PAIR = "conv(a, padding 1x1) > bn(bn, eps 1e-05)"
TWO = "conv(a) + conv(b)"
# name: the network, the claim, and what check says; None is nothing.
CLAIMS = {
    "a pair": (lambda: block(lambda s, x: s.bn(s.a(x))), PAIR, None),
    "two side by side": (lambda: block(lambda s, x: s.a(x) + s.b(x)), TWO, None),
    "their sum goes on outside": (lambda: Named(lambda s, x: s.m(x) + x, m=Named(lambda s, x: s.a(x) + s.b(x), a=conv(6, 6, bias=True), b=conv(6, 6, 1, bias=True))), TWO, None),
    "the input is added": (lambda: block(lambda s, x: x + s.a(x) + s.b(x)), TWO + " + x", None),
    "in a row, said side by side": (lambda: block(lambda s, x: s.b(s.a(x))), TWO, "WRONG: largest difference"),
    "an activation between": (lambda: block(lambda s, x: s.bn(F.relu(s.a(x)))), PAIR, "WRONG: largest difference"),
    "bn before the convolution": (lambda: block(lambda s, x: s.a(s.bn(x))), PAIR, "WRONG: largest difference"),
    "another epsilon": (lambda: block(lambda s, x: s.bn(s.a(x)), 1e-3), PAIR, "WRONG: largest difference"),
    "an epsilon nearly the same": (lambda: block(lambda s, x: s.bn(s.a(x)), 1.2e-5), PAIR, "WRONG: largest difference"),
    "half of the block": (lambda: block(lambda s, x: s.a(x) + s.b(x) + s.c(x), c=conv(6, 6, bias=True)), TWO, "WRONG: it is its branches alone, to which the network adds m.c.bias"),
    "the input forgotten": (lambda: block(lambda s, x: s.a(x) + s.b(x) + x), TWO, "WRONG: it is its branches alone, to which the network adds its input"),
    "the input in the middle forgotten": (lambda: block(lambda s, x: s.a(x) + x + s.b(x)), TWO, "WRONG: largest difference"),
    "no input is added": (lambda: block(lambda s, x: s.a(x) + s.b(x)), TWO + " + x", "WRONG: largest difference"),
    "an inner value is used": (lambda: block(lambda s, x: s.bn(s.a(x)) * s.a(x)), PAIR, "WRONG"),
    "a branch that does not run": (lambda: block(lambda s, x: s.a(x)), TWO, "WRONG: the pass does not use m.b.bias"),
}


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestClaims(unittest.TestCase):
    def claim(self, name):
        make, expression, want = CLAIMS[name]
        torch.manual_seed(1)
        model, x = random(make()), torch.randn(*IMAGE)
        with tempfile.TemporaryDirectory() as at:
            src, dst, plan = (os.path.join(at, name) for name in ("weights", "out", "plan.yaml"))
            export.export(model.state_dict(), src)
            with open(plan, "w") as f:
                f.write("blocks:\n  - module: m\n    make:\n      fused: %s\n" % expression)
            subprocess.run([REPFUSE, "fuse", "--plan", plan, src, dst], check=True, capture_output=True)
            with contextlib.redirect_stdout(io.StringIO()) as said:
                right = check.check(model, dst, x)
            self.assertEqual(right, want is None, said.getvalue())
            self.assertIn("m.fused.weight: " + (want or "ok: largest difference"), said.getvalue())


    def test_command_line(self):
        """The exit status tells, and a result in which nothing was fused is none."""
        with tempfile.TemporaryDirectory() as at:
            with open(os.path.join(at, "net.py"), "w") as f:
                f.write("import torch\nfrom torch import nn\ntorch.manual_seed(1)\nmodel = nn.Sequential(nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6, eps=1e-3)).eval()\n"
                        "def build():\n    return model\n")
            where = dict(os.environ, PYTHONPATH=os.pathsep.join([at, os.path.dirname(check.__file__)]))
            run = lambda *words: subprocess.run(words, cwd=at, env=where, capture_output=True, text=True)
            run(sys.executable, "-c", "import export, net, torch; export.export(net.model.state_dict(), 'w'); torch.save(torch.randn(2, 6, 8, 8), 'x.pt')")
            fuse = [os.path.abspath(REPFUSE), "fuse", "--family", "conv-bn-indexed", "--eps"]
            for eps, status in (("1e-5", 1), ("1e-3", 0)):
                self.assertEqual(run(*fuse, eps, "w", "out" + eps).returncode, 0)
                for x in ("2,6,8,8", "x.pt"):
                    self.assertEqual(run(sys.executable, "-m", "check", "net:build", "out" + eps, x).returncode, status, (eps, x))
            os.remove(os.path.join(at, "out1e-3", "repfuse.json"))
            copied = run(sys.executable, "-m", "check", "net:build", "out1e-3", "2,6,8,8")
            self.assertNotEqual(copied.returncode, 0)
            self.assertIn("has no layer that was fused", copied.stderr)


for name in CLAIMS:
    setattr(TestClaims, "test_" + name.replace(" ", "_").replace(",", ""), lambda self, name=name: self.claim(name))


if __name__ == "__main__":
    unittest.main()
