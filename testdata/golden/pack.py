#!/usr/bin/env python3
"""Packs reference cases into this folder: one CASE.safetensors.gz for each.

    python3 pack.py CASES        CASES/CASE/{train,deploy}/KEY.npy, x*.npy, y*.npy, meta.json

A case is what a reference implementation did in PyTorch: the state_dict of its
train form, that of its own deploy form, an input (float32) and the train form's
output for it (computed in float64). The tensors keep their bytes and are named
train/KEY, deploy/KEY, derived/KEY (a merge that the reference lacks), x, x0, x1, y, …;
the header's metadata has one entry, "case", a JSON object in the words of UNIFIED.
Standard library only. The same input gives the same bytes.
"""
import ast
import gzip
import json
import math
import os
import sys

DTYPES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "|b1": "BOOL", "|u1": "U8"}

# The two generators of the cases called the same things by different names:
# ours, then theirs, the first that is there.
UNIFIED = {
    "file": ["file"],
    "class": ["class", "cls"],
    "args": ["args"],
    "notes": ["notes"],
    "block": ["block"],
    "deploy_conv": ["deploy_conv"],
    "deploy_steps": ["deploy_steps"],
    "deploy_error": ["reference_deploy_error", "deploy_forward_error"],
    "reference_bug": ["reference_bug", "reference_mismatch"],
    "deploy_diff": ["ref_deploy_vs_train_maxabs_f64", "max_abs_diff_train_vs_deploy"],
    "eps": ["bn_eps_by_module", "bn_eps"],
    "eps_deploy": ["bn_eps_deploy"],
}
CONV = {
    "class": ["type"],
    "in": ["in_channels", "cin"],
    "out": ["out_channels", "cout"],
    "kernel": ["kernel", "k"],
    "stride": ["stride"],
    "padding": ["padding"],
    "output_padding": ["output_padding"],
    "dilation": ["dilation"],
    "groups": ["groups"],
    "bias": ["bias"],
    "padding_mode": ["padding_mode"],
}


def pick(names, source):
    """The entries of source under our names, without those that say nothing."""
    out = {}
    for ours, theirs in names.items():
        value = next((source[t] for t in theirs if t in source), None)
        if value not in (None, "", {}, [], False):
            out[ours] = value
    return out


def conv(source):
    """One convolution; padding='same' as numbers. 'same' is centred only for odd extents."""
    c = pick(CONV, source)
    if c.get("padding") == "same":
        reach = [d * (k - 1) for k, d in zip(c["kernel"], c["dilation"])]
        assert all(r % 2 == 0 for r in reach), "padding='same' that is not symmetric"
        c["padding"] = [r // 2 for r in reach]
    return c


def unify(meta, case, keys):
    """The case's meta.json in one form. keys are those of its train form."""
    out = {"name": case, "repo": meta["repo"]}
    if "commit" in meta:
        out["repo"] += "@" + meta["commit"]
    out.update(pick(UNIFIED, meta))
    if isinstance(out.get("args"), str):
        out["args"] = {"text": out["args"]}
    for form in ("convs_train", "convs_deploy"):
        if form in meta:
            out[form] = {name: conv(c) for name, c in meta[form].items()}
    if "block" not in out and all(key.startswith("blk.") for key in keys):
        out["block"] = "blk"
    return out


def read_npy(path):
    """Element type, shape and bytes (put in C order) of a .npy file of version 1."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    end = 10 + int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:end].decode("latin1"))
    shape, raw = list(header["shape"]), data[end:]
    if header["fortran_order"]:
        raw = c_order(raw, shape)
    return DTYPES[header["descr"]], shape, raw


def c_order(raw, shape):
    """The elements of a Fortran-ordered array, last axis fastest."""
    size, places = len(raw) // math.prod(shape), [0]
    strides = [math.prod(shape[:axis]) for axis in range(len(shape))]
    for n, stride in zip(shape, strides):
        places = [p + i * stride for p in places for i in range(n)]
    return b"".join(raw[p * size:(p + 1) * size] for p in places)


def tensors(folder):
    """Every tensor of a case as (name, element type, shape, bytes). A key's train
    and deploy form stand together, so that gzip sees what was only copied."""
    found = []
    for root, _, files in os.walk(folder):
        where = os.path.relpath(root, folder)
        for name in files:
            if not name.endswith(".npy"):
                continue
            key = name[:-len(".npy")]
            full = key if where == "." else where.replace("deploy_derived", "derived") + "/" + key
            found.append((key, full) + read_npy(os.path.join(root, name)))
    return [t[1:] for t in sorted(found, key=lambda t: (t[0], t[1]))]


def pack(folder, path):
    found = tensors(folder)
    keys = [name[len("train/"):] for name, *_ in found if name.startswith("train/")]
    with open(os.path.join(folder, "meta.json")) as f:
        meta = unify(json.load(f), os.path.basename(folder), keys)
    header, data = {"__metadata__": {"case": json.dumps(meta)}}, b""
    for name, dtype, shape, raw in found:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(gzip.compress(len(text).to_bytes(8, "little") + text + data, 9, mtime=0))


def main():
    source, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
    for case in sorted(os.listdir(source)):
        if os.path.exists(os.path.join(source, case, "meta.json")):
            pack(os.path.join(source, case), os.path.join(here, case + ".safetensors.gz"))


main()
