"""onnx's checker and onnxruntime accept what repfuse writes, and compute the same.

    REPFUSE=./repfuse python3 testdata/conformance/runtimes.py

Three kinds of .onnx are fused: the corpus of testdata/onnx, the networks of cmd/repfuse/python/test_networks.py as
today's PyTorch exports them, and a block of two convolutions and the identity, of which the time is printed too. Both
forms run in onnxruntime, on one thread, without its own optimizations, which would fuse norms by themselves.

A network's outputs may differ by the rounding of its arithmetic: float32 has 24 bits, and a network of some
layers, each a sum of some hundred products, was seen to differ by 2e-6 of its largest output; float16 has 11
bits (6e-4). The tolerances are ten times that.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile

import numpy as np
import safetensors.torch
import torch
from torch import nn

# onnx and onnxruntime bring the same schemas, and each says so of the other's, past Python.
sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
import onnx
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../cmd/repfuse/python"))
import export
import load
import test_networks

REPFUSE = os.path.abspath(os.environ["REPFUSE"])
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 6e-3}

# Where an .onnx has other counts of layers and norms left than the living model of test_networks, and why.
OTHER = {
    "a norm of two layers": ((2, 0), "each call of a module is a node of its own"),
    "a layer run twice": ((2, 0), "each call of a module is a node of its own"),
    "in training mode": ((1, 1), "its norm is a function, and no module"),
    "a norm that activates by itself": ((2, 0), "what its module does behind the norm are nodes of their own"),
    "a norm with a list of modules": ((2, 0), "what its module does behind the norm are nodes of their own"),
    "strided by a function": ((1, 0), "no module can take the place of a slice, a node can"),
}
# What the exporter computes before repfuse sees it.
COMPUTED = {"weight norm": ((1, 0), "the weights are constants by then")}


def repfuse(*args):
    return subprocess.run([REPFUSE, *args], capture_output=True, text=True)


def session(path, optimize=False):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def apart(a, b, x):
    """How far two models are apart, of their largest output, and the type they compute in."""
    sessions = session(a), session(b)
    given, random = sessions[0].get_inputs(), np.random.default_rng(1)
    x = x + [random.standard_normal(i.shape, dtype=np.float32) for i in given[len(x):]]
    feed = {i.name: value for i, value in zip(given, x)}
    worst, kind = 0.0, "float64"
    for want, got in zip(*(s.run(None, feed) for s in sessions)):
        if want.shape != got.shape or want.dtype != got.dtype:
            return float("inf"), kind
        if want.dtype.kind == "f" and want.size:
            kind = min(kind, str(want.dtype), key=["float16", "float32", "float64"].index)
            scale = np.abs(want.astype("f8")).max() or 1.0
            worst = max(worst, np.abs(want.astype("f8") - got.astype("f8")).max() / scale)
    return worst, kind


def checked(path):
    """Raises an error where the checker does."""
    onnx.checker.check_model(path, full_check=False)


# What onnxruntime does not run before anything is fused either.
NOT_RUN = {
    "k-custom-op": "an operator of nobody's", "n-opset6-train": "no BatchNormalization of opset 6", "t-opset6-istest": "no BatchNormalization of opset 6",
    "t-bf16": "no Conv of bfloat16", "t-double": "no Conv of float64", "x-external-checksum": "its external tensor, as onnxruntime reads it",
}


def corpus(fail):
    z = zipfile.ZipFile(os.path.join(HERE, "../onnx/cases.zip"))
    cases = sorted({name.split("/")[0] for name in z.namelist()})
    equal = refused = 0
    not_run = set()
    for case in cases:
        with tempfile.TemporaryDirectory() as at:
            for name in z.namelist():
                if name.startswith(case + "/"):
                    z.extract(name, at)
            here = os.path.join(at, case)
            train, fused = os.path.join(here, "train.onnx"), os.path.join(at, case, "fused.onnx")
            run = repfuse("fuse", "-q", *(["--freeze-inputs"] if case == "repvgg-initializers-as-inputs" else []), train, fused)
            if run.returncode:
                refused += 1  # what must be refused is named in the Go tests
                continue
            x = [np.load(os.path.join(here, "x.npy"))]
            try:
                checked(train)
                session(train)
            except Exception:
                not_run.add(case)
                continue
            try:
                checked(fused)
                worst, kind = apart(train, fused, x)
            except Exception as err:
                fail("%s: %s" % (case, err))
                continue
            if worst <= TOLERANCE[kind]:
                equal += 1
            else:
                fail("%s: outputs are %.2g apart in %s, want at most %.0e" % (case, worst, kind, TOLERANCE[kind]))
    print("corpus: %d models fused, accepted by the checker, run and equal; %d refused, %d not run; of %d" % (equal, refused, len(not_run), len(cases)))
    if not_run != set(NOT_RUN):
        fail("the models that do not run unfused are %s" % ", ".join(sorted(not_run)))


def save(model, x, path, folding):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, tuple(x), path, dynamo=False, do_constant_folding=folding,
            training=torch.onnx.TrainingMode.EVAL if folding else torch.onnx.TrainingMode.PRESERVE)


def nodes(path):
    """How many layers and batch norms a model has; a product of two images is no layer."""
    graph = onnx.load(path).graph
    made = {out: node for node in graph.node for out in node.output}
    held = {t.name for t in graph.initializer}

    def constant(name):
        node = made.get(name)
        return name in held or node is not None and all(constant(i) for i in node.input if i)

    layers = sum(n.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") and any(constant(i) for i in n.input[:2]) for n in graph.node)
    return layers, sum(n.op_type == "BatchNormalization" for n in graph.node)


def networks(fail):
    ran = 0
    for name, (make, shapes, layers, norms) in sorted(test_networks.NETWORKS.items()):
        torch.manual_seed(1)
        model = test_networks.random(make())
        model.write = test_networks.write
        x = [torch.randn(shape) for shape in shapes]
        for folding in (True, False):
            with tempfile.TemporaryDirectory() as at:
                train, fused = os.path.join(at, "train.onnx"), os.path.join(at, "fused.onnx")
                save(model, x, train, folding)
                run = repfuse("fuse", "-q", train, fused)
                if run.returncode:
                    fail("%s: %s" % (name, run.stderr))
                    continue
                try:
                    checked(fused)
                    worst, _ = apart(train, fused, [t.numpy() for t in x])
                except Exception as err:
                    fail("%s: %s" % (name, err))
                    continue
                ran += 1
                if not worst <= TOLERANCE["float32"]:
                    fail("%s: outputs are %.2g apart" % (name, worst))
                want = (layers, norms)
                for table in (OTHER, COMPUTED if folding else {}):
                    want = table.get(name, (want,))[0]
                if nodes(fused) != want:
                    fail("%s: %s layers and norms are left of %s, want %s" % (name, nodes(fused), nodes(train), want))
    print("networks: %d exports fused as by their traces, accepted by the checker, run and equal" % ran)


def archives(fail):
    """torch.export's own archive of a network is fused to the bytes that its trace gives, and is the graph of a .pth."""
    ran = 0
    for name in ("conv bn relu", "repvgg", "mobileone", "bn before a point conv", "residual", "transposed", "one axis", "in place", "two inputs"):
        make, shapes, layers, norms = test_networks.NETWORKS[name]
        torch.manual_seed(1)
        model = test_networks.random(make())
        x = tuple(torch.randn(shape) for shape in shapes)
        with tempfile.TemporaryDirectory() as at:
            path = lambda name: os.path.join(at, name)
            torch.export.save(torch.export.export(model, x), path("m.pt2"))
            torch.save(model.state_dict(), path("m.pth"))
            export.export(model, path("weights"), *x)
            for args in (
                ("fuse", "-q", path("m.pt2"), path("a.safetensors")), ("fuse", "-q", "--graph", path("m.pt2"), path("m.pth"), path("b.safetensors")),
                ("fuse", "-q", path("weights"), path("c")), ("verify", "--require", "exact", path("m.pt2"), path("a.safetensors")),
            ):
                run = repfuse(*args)
                if run.returncode:
                    fail("%s: %s: %s%s" % (name, args[0], run.stdout, run.stderr))
                elif " if " in run.stdout:
                    fail("%s: something is assumed: %s" % (name, run.stdout))
            sets = [safetensors.torch.load_file(path(p)) for p in ("a.safetensors", "b.safetensors")] + [load.read(path("c"))]
            if any(s.keys() != sets[0].keys() or any(not torch.equal(s[k], sets[0][k]) for k in s) for s in sets):
                fail("%s: the archive, the graph of a .pth and the trace give other tensors" % name)
            with torch.no_grad():
                want = model(*x)
                load.load(model, path("c"))
                if not torch.allclose(model(*x), want, rtol=1e-4, atol=1e-5):
                    fail("%s: outputs differ" % name)
            if test_networks.count(model) != (layers, norms):
                fail("%s: %s layers and norms are left" % (name, test_networks.count(model)))
            ran += 1
    print("archives: %d networks by torch.export, as by their traces" % ran)


class Block(nn.Module):
    """3×3 and 1×1 side by side, and the input itself."""

    def __init__(self, c):
        super().__init__()
        self.conv3x3, self.conv1x1 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        return self.conv3x3(x) + self.conv1x1(x) + x


def block(fail):
    torch.manual_seed(1)
    model, x = Block(64).eval(), torch.randn(1, 64, 56, 56)
    with tempfile.TemporaryDirectory() as at:
        train, fused = os.path.join(at, "block.onnx"), os.path.join(at, "fused.onnx")
        save(model, [x], train, True)
        for args in (["fuse", train, fused], ["verify", train, fused]):
            run = repfuse(*args)
            if run.returncode:
                return fail("the block: " + run.stderr)
        if nodes(fused) != (1, 0):
            fail("the block: %s layers are left, want 1" % nodes(fused)[0])
        checked(fused)
        worst, _ = apart(train, fused, [x.numpy()])
        with torch.no_grad():
            want = model(x).numpy()
        one = session(fused)
        got = one.run(None, {one.get_inputs()[0].name: x.numpy()})[0]
        if not np.allclose(got, want, rtol=1e-4, atol=1e-5) or worst > TOLERANCE["float32"]:
            fail("the block: outputs are %.2g apart" % worst)
        times = [[], []]
        sessions = [session(p, optimize=True) for p in (train, fused)]
        for _ in range(20):
            for s, into in zip(sessions, times):
                start = time.perf_counter()
                s.run(None, {s.get_inputs()[0].name: x.numpy()})
                into.append(1e3 * (time.perf_counter() - start))
        before, after = (np.median(t) for t in times)
        print("block: 64 channels, 56×56, one thread: %.2f ms -> %.2f ms, outputs %.1e apart" % (before, after, worst))


def readers(fail):
    """Today's own readers take what is written, and what today's own writers write is read."""
    weights = os.path.join(HERE, "../../examples/repvgg-tiny/weights")
    want = {n[:-4]: torch.from_numpy(np.load(os.path.join(weights, n))) for n in os.listdir(weights) if n.endswith(".npy")}
    files = {
        "pth": lambda p: torch.load(p, weights_only=True),
        "safetensors": safetensors.torch.load_file,
        "npz": lambda p: {k: torch.from_numpy(v) for k, v in np.load(p).items()},
    }
    with tempfile.TemporaryDirectory() as at:
        torch.save(want, os.path.join(at, "theirs.pth"))
        safetensors.torch.save_file(want, os.path.join(at, "theirs.safetensors"))
        np.savez(os.path.join(at, "theirs.npz"), **{k: v.numpy() for k, v in want.items()})
        for source in files:
            for kind, read in files.items():
                ours = os.path.join(at, "%s.%s" % (source, kind))
                run = repfuse("convert", "-q", os.path.join(at, "theirs." + source), ours)
                if run.returncode:
                    fail("%s to %s: %s" % (source, kind, run.stderr))
                    continue
                got = read(ours)
                if got.keys() != want.keys() or any(not torch.equal(got[k], want[k]) or got[k].dtype != want[k].dtype for k in want):
                    fail("%s to %s: other tensors" % (source, kind))
    print("readers: .pth (weights_only), .safetensors and .npz, each to each")


def main():
    print("torch", torch.__version__, "onnx", onnx.__version__, "onnxruntime", ort.__version__, "numpy", np.__version__)
    failed = []

    def fail(text):
        failed.append(text)
        print("FAIL", text)

    for part in (readers, archives, block, networks, corpus):
        part(fail)
    sys.exit("%d failures" % len(failed) if failed else 0)


if __name__ == "__main__":
    main()
