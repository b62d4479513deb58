"""Runs the pages of docs/ that have steps in sh or Python from top to bottom, on a network of one's own."""
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest

REPFUSE = os.environ.get("REPFUSE")
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs")
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


# What a file of ultralytics is: a pickled model in float16, of classes that are not there when it is read.
YOLO = """
import sys, types, torch
from torch import nn

conv, tasks = types.ModuleType("ultralytics.nn.modules.conv"), types.ModuleType("ultralytics.nn.tasks")
for name in "ultralytics", "ultralytics.nn", "ultralytics.nn.modules":
    sys.modules[name] = types.ModuleType(name)
sys.modules.update({m.__name__: m for m in (conv, tasks)})


def known(cls, module):
    cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
    setattr(module, cls.__name__, cls)
    return cls


class Conv(nn.Module):
    def __init__(self, i, o, k):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(i, o, k, padding=k // 2, bias=False), nn.BatchNorm2d(o, eps=1e-3)


class RepConv(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.bn, self.conv1, self.conv2 = None, known(Conv, conv)(c, c, 3), Conv(c, c, 1)


class DetectionModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(Conv(3, 8, 3), known(RepConv, conv)(8))


torch.save({"epoch": -1, "ema": None, "model": known(DetectionModel, tasks)().half()}, "best.pt")
"""
# A base, an adapter as PEFT writes it, and one as kohya's scripts do.
ADAPTERS = """
import json, os, torch
from torch import nn

torch.manual_seed(1)
base = nn.ModuleDict({"q": nn.Linear(8, 8), "v": nn.Linear(8, 8)})
torch.save(base.state_dict(), "base.pth")
os.mkdir("lora")
torch.save({f"base_model.model.q.lora_{half}.weight": torch.randn(*shape) for half, shape in (("A", (3, 8)), ("B", (8, 3)))}, "lora/adapter_model.bin")
with open("lora/adapter_config.json", "w") as f:
    json.dump({"peft_type": "LORA", "r": 3, "lora_alpha": 6}, f)
style = {"lora_te_v.lora_down.weight": torch.randn(2, 8), "lora_te_v.lora_up.weight": torch.randn(8, 2), "lora_te_v.alpha": torch.tensor(1.0)}
torch.save(style, "style.pth")
os.system("repfuse convert -q style.pth style.safetensors")
"""
PAGES = {
    "adapters.md": (["sh", "python", "sh"], ADAPTERS),
    "pytorch.md": (["sh", "python", "sh", "python", "python"], ""),
    "logits.md": (["sh", "python", "python", "python", "python onnxruntime"], ""),
    "ultralytics.md": (["sh"], YOLO),
}


@unittest.skipUnless(REPFUSE, "REPFUSE names no command")
class TestPages(unittest.TestCase):
    def steps(self, page):
        with open(os.path.join(DOCS, page), encoding="utf-8") as f:
            return re.findall(r"^```(sh|python[^\n]*)\n(.*?)```", f.read(), re.S | re.M)

    def run_page(self, page, kinds, before):
        """Runs what the page has, and gives what the last of it printed."""
        steps = self.steps(page)
        self.assertEqual([kind for kind, _ in steps], kinds)
        with tempfile.TemporaryDirectory() as at:
            os.symlink(os.path.abspath(REPFUSE), os.path.join(at, "repfuse"))
            with open(os.path.join(at, "net.py"), "w") as f:
                f.write(NET)
            for kind, text in [("python", before)] + steps:
                needed = kind.split()[1:]  # what has warnings of its own
                if any(importlib.util.find_spec(name) is None for name in needed):
                    continue
                warn = ["-W", "error"] if not needed else []
                command = ["sh", "-e", "-c", text] if kind == "sh" else [sys.executable, *warn, "-c", text]
                run = subprocess.run(command, cwd=at, env=dict(os.environ, PATH=at + os.pathsep + os.environ["PATH"]), capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, text + run.stderr)
            return run.stdout

    def test_pytorch(self):
        self.assertNotIn("BatchNorm2d", self.run_page("pytorch.md", *PAGES["pytorch.md"]))

    def test_others(self):
        for page in set(PAGES) - {"pytorch.md"}:
            with self.subTest(page):
                self.run_page(page, *PAGES[page])

    def test_whole(self):
        """Every page with a step in sh or Python is here, except python.md, which the wheel's test runs."""
        with_steps = {page for page in os.listdir(DOCS) if page.endswith(".md") and self.steps(page)}
        self.assertEqual(with_steps, set(PAGES) | {"python.md"})


if __name__ == "__main__":
    unittest.main()
