"""Runs docs/pytorch.md from top to bottom, on a network of one's own."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

REPFUSE = os.environ.get("REPFUSE")
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/pytorch.md")
NET = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)

    def forward(self, x):
        return (self.one(x) + self.two(x) + self.norm(x)).relu()


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), Block()).eval()
"""


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestPage(unittest.TestCase):
    def test_page(self):
        with open(PAGE) as f:
            steps = re.findall(r"```(sh|python)\n(.*?)```", f.read(), re.S)
        self.assertEqual([kind for kind, _ in steps], ["sh", "python", "sh", "python", "python"])
        with tempfile.TemporaryDirectory() as at:
            os.symlink(os.path.abspath(REPFUSE), os.path.join(at, "repfuse"))
            with open(os.path.join(at, "net.py"), "w") as f:
                f.write(NET)
            for kind, text in steps:
                command = ["sh", "-e", "-c", text] if kind == "sh" else [sys.executable, "-W", "error", "-c", text]
                run = subprocess.run(command, cwd=at, env=dict(os.environ, PATH=at + os.pathsep + os.environ["PATH"]), capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, text + run.stderr)
            self.assertNotIn("BatchNorm2d", run.stdout)


if __name__ == "__main__":
    unittest.main()
