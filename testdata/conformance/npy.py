"""Holds `repfuse fuse` to numpy: what np.save can write is read, and what is written
is the exact sum of the branches, rounded once, byte for byte as np.save writes it.

    REPFUSE=./repfuse python3 npy.py
"""
import io
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

REPFUSE = os.path.abspath(os.environ.get("REPFUSE", "repfuse"))
RNG = np.random.default_rng(1)


def block(dtype):
    """conv3x3(x) + conv1x1(x) + x on five channels, and the one convolution it is."""
    shapes = {"conv3x3.weight": (5, 5, 3, 3), "conv3x3.bias": (5,), "conv1x1.weight": (5, 5, 1, 1), "conv1x1.bias": (5,)}
    train = {key: RNG.standard_normal(shape).astype(dtype) for key, shape in shapes.items()}
    return train, merged({key: value.astype(np.float64) for key, value in train.items()})


def merged(wide):
    """The fused kernel and bias. fsum rounds once, as two additions would not."""
    kernel = wide["conv3x3.weight"].copy()
    for o in range(5):
        for i in range(5):
            kernel[o, i, 1, 1] = math.fsum([kernel[o, i, 1, 1], wide["conv1x1.weight"][o, i, 0, 0], float(o == i)])
    return {"fused.weight": kernel, "fused.bias": wide["conv3x3.bias"] + wide["conv1x1.bias"]}


def saved(array, version=None):
    """The bytes of a .npy file."""
    f = io.BytesIO()
    np.lib.format.write_array(f, array, version=version, allow_pickle=False)
    return f.getvalue()


def bfloat16(wide):
    """float64 to the upper half of a float32, to nearest even, as raw bytes. The sums
    here are exact in float32 or nowhere near a tie, so that rounding twice is no matter."""
    bits = wide.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(half):
    """bfloat16 bits as float32."""
    return (half.astype(np.uint32) << 16).view(np.float32)


def run(folder, *flags):
    for command in (["fuse", "weights", "out", *flags], ["verify"]):
        done = subprocess.run([REPFUSE, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit("repfuse %s: exit %d\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))


def check(name, train, want, *flags):
    """Fuses the files of train and compares every file written with the one wanted."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "weights"))
        for key, data in train.items():
            with open(os.path.join(folder, "weights", key + ".npy"), "wb") as f:
                f.write(data)
        run(folder, *flags)
        out = os.path.join(folder, "out")
        got = {f[:-len(".npy")]: open(os.path.join(out, f), "rb").read() for f in os.listdir(out) if f.endswith(".npy")}
    if got.keys() != want.keys():
        sys.exit("%s: wrote %s, want %s" % (name, sorted(got), sorted(want)))
    for key in want:
        if got[key] != want[key]:
            sys.exit("%s: %s differs from what numpy writes:\n%r\n%r" % (name, key, got[key][:160], want[key][:160]))
    print("%s: %d files as numpy writes them" % (name, len(want)))


def check_floats():
    """Each floating type, in each of the ways that numpy lays it out."""
    forms = {
        "": saved,
        ", big-endian": lambda a: saved(a.astype(a.dtype.newbyteorder(">"))),
        ", Fortran order": lambda a: saved(np.asfortranarray(a)),
        ", header version 2": lambda a: saved(a, (2, 0)),
        ", header version 3": lambda a: saved(a, (3, 0)),
    }
    for dtype in (np.float16, np.float32, np.float64):
        for form, save in forms.items():
            train, want = block(dtype)
            check(
                np.dtype(dtype).name + form,
                {key: save(a) for key, a in train.items()},
                {key: saved(a.astype(dtype)) for key, a in want.items()},
                "--identity", "yes",
            )


def check_bfloat16():
    train, _ = block(np.float32)
    half = {key: bfloat16(a.astype(np.float64)) for key, a in train.items()}
    want = merged({key: widened(a).astype(np.float64) for key, a in half.items()})
    check(
        "bfloat16",
        {key: saved(a.view("V2")) for key, a in half.items()},
        # The header that an ml_dtypes.bfloat16 array gets; to numpy it is the same type.
        {key: saved(bfloat16(a).view("V2")).replace(b"'|V2'", b"'<V2'") for key, a in want.items()},
        "--identity", "yes", "--bfloat16",
    )


def check_kept():
    """Tensors of no block arrive as they were, of whatever type."""
    kept = {
        "counter": np.array(12345678901, np.int64),
        "mask": np.array([True, False]),
        "codes": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "linear.weight": RNG.standard_normal((3, 5)),
        "empty": np.zeros((0, 4), np.float32),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "weights"))
        for key, a in {**repvgg("stage0."), **kept}.items():
            np.save(os.path.join(folder, "weights", key + ".npy"), a)
        run(folder)
        for key, a in kept.items():
            with open(os.path.join(folder, "out", key + ".npy"), "rb") as f:
                if f.read() != saved(a):
                    sys.exit("kept tensors: %s is not as it was" % key)
    print("kept tensors: %d files as they were" % len(kept))


def repvgg(path):
    """A block that a checkpoint needs for there to be something to fuse."""
    block = {}
    for branch, extent in (("rbr_dense", 3), ("rbr_1x1", 1)):
        block[path + branch + ".conv.weight"] = np.ones((6, 5, extent, extent), np.float32)
        for name in ("weight", "bias", "running_mean", "running_var"):
            block[path + branch + ".bn." + name] = np.ones(6, np.float32)
        block[path + branch + ".bn.num_batches_tracked"] = np.array(1)
    return block


check_floats()
check_bfloat16()
check_kept()
