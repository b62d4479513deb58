"""python3 -m unittest discover -s cmd/repfuse/python -p 'test_*.py'"""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy as np
import torch
from torch import nn

import export
import load


class Block(nn.Module):
    """What keys cannot say, in one module."""

    def __init__(self, identity=True):
        super().__init__()
        self.with_idt, self.stride, self.alpha, self.name = identity, 2, 0.5, "block"
        self.worst = float("inf")
        self.same = nn.Conv2d(4, 4, (3, 5), padding="same", dilation=2, groups=2)
        self.even = nn.Conv1d(4, 4, 2, padding="same")
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.bn = nn.BatchNorm2d(4, eps=1e-3)
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(4))
        self.rest = nn.Sequential(nn.ReLU(), nn.Sequential())
        if identity:
            self.idt = nn.Identity()


class Extra(nn.Module):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


class Net(nn.Module):
    """In place, in views, shared, with constants: what a trace must not lose."""

    def __init__(self, reads=False):
        super().__init__()
        self.conv, self.bn, self.point = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=1e-3), nn.Conv2d(3, 4, 1)
        self.again, self.reads = self.point, reads
        self.gain = nn.Parameter(torch.ones(4, 1, 1))
        self.register_buffer("weighting", torch.full((1, 4, 1, 1), 0.5), persistent=False)

    def forward(self, x, more):
        if self.reads and float(x.sum()) > 1e9:
            return x
        y = self.bn(self.conv(x)) + self.again(x)
        y[:, :2].relu_()
        self.seen = y * self.weighting
        return {"y": self.seen * self.gain, "more": [more["x"] - x]}


class TestGraph(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = folder.name

    def graph(self, model, *inputs):
        path = os.path.join(self.at, "graph.json")
        how = export.graph(model, path, *inputs)
        with open(path) as f:
            found = json.load(f)
        self.assertEqual(found["version"], 1)
        self.assertEqual(found["device"], how)
        return found

    def check(self, found):
        made = {}
        for k, op in enumerate(found["ops"]):
            made.update((n, k) for n in op["out"])
        ops = found["ops"]
        kinds = [op["op"].split(".")[1] if "." in op["op"] else op["op"] for op in ops]
        conv, bn = kinds.index("convolution"), next(k for k, name in enumerate(kinds) if "batch_norm" in name)
        self.assertEqual(ops[conv]["in"][0], "%%%d" % found["inputs"][0])
        self.assertEqual(ops[conv]["in"][1], "%%%d" % found["keys"]["conv.weight"])
        self.assertEqual((ops[conv]["at"], ops[bn]["at"]), ("conv", "bn"))
        self.assertEqual(ops[bn]["in"][0], "%%%d" % ops[conv]["out"][0])
        self.assertIn(1e-3, ops[bn]["in"])
        self.assertEqual(found["keys"]["again.weight"], found["keys"]["point.weight"])
        # relu_ wrote into a view of the sum: what is multiplied is not the sum, but what came of it.
        total = ops[next(k for k, name in enumerate(kinds) if name == "add")]["out"][0]
        mul = ops[kinds.index("mul")]
        changed = ops[made[int(mul["in"][0][1:])]]
        self.assertEqual((changed["op"], changed["in"][0]), ("changed", "%%%d" % total))
        self.assertEqual(found["constants"][mul["in"][1][1:]], [0.5] * 4)
        # what the forward left in the module is an output too
        self.assertIn(mul["out"][0], found["outputs"])
        self.assertEqual(len(found["outputs"]), 3)
        self.assertEqual(found["classes"]["bn"], "BatchNorm2d")

    def test_meta(self):
        for dtype in (torch.float32, torch.float16):
            with self.subTest(dtype=dtype):
                model = Net().to(dtype).train()
                x = torch.ones(1, 3, 8, 8, dtype=dtype)
                before = {key: value.clone() for key, value in model.state_dict().items()}
                found = export.trace(model, [x, {"x": x}])
                self.assertEqual(found["device"], "meta")
                self.check(json.loads(json.dumps(found)))
                self.assertTrue(model.training)
                self.assertFalse(hasattr(model, "seen"))
                for key, value in model.state_dict().items():
                    self.assertTrue(torch.equal(value, before[key]), key)

    def test_code_that_reads_values(self):
        found = self.graph(Net(reads=True), (1, 3, 8, 8), {"x": torch.ones(1)})
        self.assertEqual(found["device"], "real")
        self.assertIn("meta", found["why"])
        self.check(found)

    def test_a_pass_that_fails(self):
        with self.assertRaisesRegex(RuntimeError, "aten.convolution"):
            export.graph(nn.Conv2d(3, 4, 3), os.path.join(self.at, "g.json"), (1, 2, 8, 8))
        at = os.path.join(self.at, "weights")
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertIsNone(export.export(nn.Conv2d(3, 4, 3), at, (1, 2, 8, 8)))
        self.assertRegex(said.getvalue(), "no graph.json")
        self.assertEqual(sorted(os.listdir(at)), ["bias.npy", "modules.json", "weight.npy"])

    def test_export_writes_it(self):
        at = os.path.join(self.at, "weights")
        self.assertEqual(export.export(nn.Linear(3, 4), at, (2, 3)), "meta")
        with open(os.path.join(at, "graph.json")) as f:
            found = json.load(f)
        self.assertEqual(found["values"][found["outputs"][0]], ["float32", 2, 4])


class TestExport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = os.path.join(folder.name, "weights")

    def facts(self, model):
        export.export(model, self.at)
        with open(os.path.join(self.at, "modules.json")) as f:
            found = json.load(f)
        self.assertEqual(found["version"], 1)
        return found["modules"]

    def test_round_trip(self):
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            with self.subTest(dtype=dtype):
                at = os.path.join(self.at, str(dtype))
                model, other = Block().to(dtype), Block().to(dtype)
                export.export(model, at)
                load.load(other, at)
                for key, value in model.state_dict().items():
                    self.assertTrue(torch.equal(value, other.state_dict()[key]), key)
                    self.assertEqual(value.dtype, load.read(at)[key].dtype, key)

    def test_bfloat16_keeps_its_bytes(self):
        export.export({"x": torch.tensor([1.0, -2.5], dtype=torch.bfloat16)}, self.at)
        saved = np.load(os.path.join(self.at, "x.npy"))
        self.assertEqual(saved.dtype.str, "|V2")
        self.assertEqual(saved.tobytes(), b"\x80\x3f\x20\xc0")

    def test_bfloat16_of_others(self):
        """The header that repfuse and ml_dtypes write."""
        export.export({"x": torch.tensor([1.0, -2.5], dtype=torch.bfloat16)}, self.at)
        path = os.path.join(self.at, "x.npy")
        with open(path, "rb") as f:
            data = f.read()
        with open(path, "wb") as f:
            f.write(data.replace(b"'|V2'", b"'<V2'"))
        self.assertTrue(torch.equal(load.read(self.at)["x"], torch.tensor([1.0, -2.5], dtype=torch.bfloat16)))

    def test_strides_and_scalars(self):
        state = {"t": torch.arange(6.0).view(2, 3).t(), "n": torch.tensor(7)}
        export.export(state, self.at)
        saved = np.load(os.path.join(self.at, "t.npy"))
        self.assertTrue(saved.flags.c_contiguous)
        self.assertEqual(saved.tolist(), [[0, 3], [1, 4], [2, 5]])
        self.assertEqual(np.load(os.path.join(self.at, "n.npy")).shape, ())
        self.assertFalse(os.path.exists(os.path.join(self.at, "modules.json")))

    def test_facts(self):
        modules = self.facts(nn.Sequential(Block(), Block(identity=False)))
        self.assertEqual(modules[""]["class"], "Sequential")
        block = modules["0"]
        self.assertEqual(block["class"], "Block")
        self.assertEqual(block["keyless"], {"rest": "Sequential", "idt": "Identity"})
        self.assertEqual(modules["1"]["keyless"], {"rest": "Sequential"})
        self.assertEqual(block["flags"], {"with_idt": True, "stride": 2, "alpha": 0.5})
        self.assertEqual(modules["0.bn"]["eps"], 1e-3)
        same = modules["0.same"]
        self.assertEqual((same["kernel"], same["padding"], same["dilation"]), ([3, 5], [2, 4], [2, 2]))
        self.assertEqual((same["groups"], same["stride"], same["padding_mode"]), (2, [1, 1], "zeros"))
        self.assertNotIn("padding", modules["0.even"])
        self.assertTrue(modules["0.up"]["transposed"])
        self.assertEqual(modules["0.pool"]["keyless"], {"0": "AvgPool2d"})
        pool = modules["0.pool.0"]
        self.assertEqual((pool["kernel"], pool["stride"], pool["padding"]), ([3, 3], [1, 1], [1, 1]))

    def refused(self, state, error, text):
        with self.assertRaisesRegex(error, text):
            export.export(state, self.at)
        self.assertFalse(os.path.exists(self.at))

    def test_refusals(self):
        self.refused(nn.Sequential(Extra()), TypeError, "0._extra_state is a dict")
        self.refused({"epoch": 3}, TypeError, "epoch is a int, not a tensor")
        self.refused({"a/b": torch.zeros(1)}, ValueError, "'a/b' cannot be a file name")
        self.refused([torch.zeros(1)], TypeError, "a list, want a model or a state_dict")

    def test_old_files_are_not_mixed_with_new(self):
        export.export({"a": torch.zeros(1)}, self.at)
        with self.assertRaisesRegex(FileExistsError, "a.npy already"):
            export.export({"b": torch.zeros(1)}, self.at)

    def test_force_replaces_all(self):
        with tempfile.TemporaryDirectory() as dir:
            export.export(Block(), dir)
            for name in "repfuse.json", "notes.txt":
                open(os.path.join(dir, name), "w").close()
            export.export({"a": torch.ones(1)}, dir, force=True)
            self.assertEqual(sorted(os.listdir(dir)), ["a.npy", "notes.txt"])

    def test_numpy_lacks_it(self):
        with self.assertRaisesRegex(TypeError, "^s: numpy has no such tensor"):
            export.export({"s": torch.eye(2).to_sparse()}, self.at)

    def test_command_line(self):
        path = self.at + ".pth"
        torch.save({"state_dict": Block().state_dict(), "epoch": 1}, path)
        run = [sys.executable, export.__file__, path, self.at]
        bad = subprocess.run(run, capture_output=True, text=True)
        self.assertEqual((bad.returncode, bad.stdout), (1, ""))
        self.assertIn("state_dict is a ", bad.stderr)
        subprocess.run(run + ["state_dict"], check=True)
        self.assertEqual(set(load.read(self.at)), set(Block().state_dict()))


class TestLoad(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = folder.name

    def test_strict(self):
        np.save(os.path.join(self.at, "weight.npy"), np.ones((2, 3), "f4"))
        with self.assertRaisesRegex(RuntimeError, 'Missing key.*"bias"'):
            load.load(nn.Linear(3, 2), self.at)
        np.save(os.path.join(self.at, "bias.npy"), np.ones(2, ">f4"))
        model = nn.Linear(3, 2)
        load.load(model, self.at)
        self.assertEqual(model(torch.ones(1, 3)).tolist(), [[4, 4]])

    def test_neither_form(self):
        """A model that has neither the fused layer nor what it was made of is an error."""
        np.save(os.path.join(self.at, "a.weight.npy"), np.ones((2, 2, 3, 3), "f4"))
        with open(os.path.join(self.at, "repfuse.json"), "w") as f:
            json.dump({"layers": [{"weight": "a.weight", "reads": ["a.weight", "b.weight"], "branches": [["a"], []], "groups": 1}]}, f)
        with self.assertRaisesRegex(RuntimeError, "Missing key"):
            load.load(nn.Sequential(nn.Conv2d(2, 2, 3, bias=False)), self.at)

    def test_half(self):
        """A model of float16 on a processor, for which PyTorch has no batch norm of that type."""
        for key, shape in ("0.weight", (2, 2, 3, 3)), ("0.bias", (2,)):
            np.save(os.path.join(self.at, key + ".npy"), np.ones(shape, "f4"))
        with open(os.path.join(self.at, "repfuse.json"), "w") as f:
            json.dump({"layers": [{"weight": "0.weight", "bias": "0.bias", "reads": ["0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"],
                                   "branches": [["0", "1"]], "groups": 1, "padding": [0, 0], "stride": [1, 1], "dilation": [1, 1]}]}, f)
        model = nn.Sequential(nn.Conv2d(2, 2, 3, bias=False), nn.BatchNorm2d(2)).half()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            state = torch.random.get_rng_state()
            load.load(model, self.at)
        self.assertTrue(torch.equal(state, torch.random.get_rng_state()), "the caller's random numbers are others now")
        self.assertIsInstance(model[1], nn.Identity)

    def test_nothing_there(self):
        with self.assertRaisesRegex(FileNotFoundError, "holds no .npy file"):
            load.load(nn.ReLU(), self.at)


if __name__ == "__main__":
    unittest.main()
