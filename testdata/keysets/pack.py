"""Packs key sets of real models for the tests: python3 pack.py FILE.jsonl.gz… > keysets.txt.gz

A line of input is {"name", "keys": {key: shape} as state_dict() orders them, "eps": all ε of
the model, "pairs": [[layer, norm, transposed]] as a traced forward pass shows them, "idle":
norms that the pass did not run}. A model becomes a line "= NAME EPS traced|-" and one line for
each run of keys of a module: how many names of its path are the last line's, the rest of the
path, what it holds (N64: a batch norm of 64 channels, L64x3: a weight and its bias, W64x3x3x3: a
weight; else NAME:SHAPE), "<LAYER" for the layer before it, "idle". Only names, shapes and ε are
here, no weights.

keysets.txt.gz is models of torchvision and timm. frameworks.txt.gz is those that docs/ is about: mmpretrain 1.2's own
RepVGG-A0, and by their public definitions YOLOv9t of ultralytics, the encoder of RT-DETR in transformers, HiFi-GAN's V2
generator, the backbone of PP-YOLOE+ s in PaddleDetection.
"""
import gzip
import json
import sys


def runs(keys):
    last = None
    for key, shape in keys.items():
        path, _, name = key.rpartition(".")
        if last is None or last[0] != path:
            if last is not None:
                yield last
            last = (path, [])
        last[1].append((name, shape))
    if last is not None:
        yield last


def held(tensors):
    names, first = [n for n, _ in tensors], tensors[0][1]
    size = "x".join(map(str, first))
    if names == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"] and all(s == first for _, s in tensors[:4]):
        return "N" + size
    if names == ["weight", "bias"] and tensors[1][1] == first[:1]:
        return "L" + size
    if names == ["weight"]:
        return "W" + size
    return " ".join("%s:%s" % (n, "x".join(map(str, s))) for n, s in tensors)


def lines(model):
    yield "= %s %s %s" % (model["name"], ",".join("%g" % e for e in model["eps"]) or "-", "traced" if "pairs" in model else "-")
    layer = {norm: layer for layer, norm, _ in model.get("pairs", [])}
    idle = set(model.get("idle", []))
    before = []
    for path, tensors in runs(model["keys"]):
        names, same = path.split("."), 0
        while same < min(len(before), len(names)) and before[same] == names[same]:
            same += 1
        yield " ".join([str(same), ".".join(names[same:]), held(tensors)] + ["<" + layer.get(path, "")] * (path in layer) + ["idle"] * (path in idle))
        before = names


text = "".join(line + "\n" for name in sys.argv[1:] for text in gzip.open(name, "rt") for line in lines(json.loads(text)))
sys.stdout.buffer.write(gzip.compress(text.encode(), 9, mtime=0))
