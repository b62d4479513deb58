#!/usr/bin/env python3
"""Makes cases of blocks whose project's code was not run, from its description.

    python3 described.py CASES && python3 pack.py CASES

Each block is the train form as PyTorch runs it. What it fuses to is measured and not
derived: a zero image gives the bias of what is one layer, and an image with a single 1
the kernel, all in float64 and rounded to float32 once.
"""
import json
import os
import sys

import numpy
import torch
from torch import nn


def bn(n, eps=1e-5):
    """A batch norm with statistics that show every mistake."""
    m = (nn.BatchNorm2d if eps > 0 else nn.BatchNorm1d)(n, eps=abs(eps))
    with torch.no_grad():
        m.weight.uniform_(0.5, 1.5), m.bias.normal_()
        m.running_mean.normal_(), m.running_var.uniform_(0.3, 2)
    return m


def conv(i, o, k, g=1, bias=False, stride=1):
    k = k if isinstance(k, tuple) else (k, k)
    return nn.Conv2d(i, o, k, stride, tuple(n // 2 for n in k), groups=g, bias=bias)


def param(*shape):
    return nn.Parameter(torch.randn(*shape))


def box(**children):
    """A module of these children, by names in which __ is a dot."""
    m = nn.Module()
    for path, child in children.items():
        at = m
        *above, name = path.split("__")
        for part in above:
            if not hasattr(at, part):
                at.add_module(part, nn.Module())
            at = getattr(at, part)
        if isinstance(child, nn.Parameter):
            at.register_parameter(name, child)
        elif isinstance(child, torch.Tensor):
            at.register_buffer(name, child)
        else:
            at.add_module(name, child)
    return m


def flat(m):
    """A batch norm on rows of a matrix."""
    return lambda x: nn.functional.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias, False, 0, m.eps)


def measured(f, inputs, extents, groups=1):
    """Kernel and bias of what f computes at the middle of an image, or of a row."""
    size = [2 * k + 1 for k in extents]
    middle = tuple(k for k in extents)
    zero = f(torch.zeros(1, inputs, *size, dtype=torch.float64))[0]
    bias = zero[(slice(None),) + middle]
    outputs, per = len(bias), inputs // groups
    weight = torch.zeros(outputs, per, *extents, dtype=torch.float64)
    for i in range(inputs):
        x = torch.zeros(1, inputs, *size, dtype=torch.float64)
        x[(0, i) + middle] = 1
        seen = (f(x)[0] - zero)[(slice(None),) + tuple(slice(1 + k // 2, k + k // 2 + 1) for k in extents)]
        rows = slice(i // per * (outputs // groups), (i // per + 1) * (outputs // groups))
        weight[rows, i % per] = seen.flip(list(range(1, seen.dim())))[rows]
    return weight, bias


def case(folder, name, repo, cls, block, forward, shape, made, kept=(), rename=lambda key: key, at="b.", args=None, notes=""):
    """Writes a case. made is (key, f, inputs, extents, groups, biased) for each layer that comes of it."""
    block.eval().double()
    here = os.path.join(folder, name)
    for sub in ("train", "deploy_derived"):
        os.makedirs(os.path.join(here, sub), exist_ok=True)

    def save(path, t):
        t = t.detach()
        numpy.save(os.path.join(here, path + ".npy"), t.numpy().astype("float32" if t.is_floating_point() else t.numpy().dtype))

    with torch.no_grad():
        for p in list(block.parameters()) + list(block.buffers()):  # what is stored is float32
            if p.is_floating_point():
                p.copy_(p.float().double())
        x = torch.randn(*shape).double()
        for key, t in block.state_dict().items():
            save("train/" + at + rename(key), t)
            if any(key.startswith(k) for k in kept):
                save("deploy_derived/" + at + rename(key), t)
        for key, f, inputs, extents, groups, biased in made:
            weight, bias = measured(f, inputs, extents, groups)
            save("deploy_derived/" + (at + key + ".").lstrip(".") + "weight", weight)
            if biased:
                save("deploy_derived/" + (at + key + ".").lstrip(".") + "bias", bias)
        numpy.save(os.path.join(here, "x.npy"), x.numpy().astype("float32"))
        numpy.save(os.path.join(here, "y.npy"), forward(x).numpy())
    layers = {at + n: m for n, m in block.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    meta = {"repo": repo, "class": cls, "block": at.rstrip("."), "args": args or {},
            "notes": "written from the description, the project's code was not run" + ("; " + notes if notes else ""),
            "bn_eps_by_module": {at + n: m.eps for n, m in block.named_modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))},
            "convs_train": {n: {"type": "Conv2d", "in_channels": m.in_channels, "out_channels": m.out_channels,
                                "kernel": list(m.kernel_size), "stride": list(m.stride), "padding": list(m.padding),
                                "dilation": list(m.dilation), "groups": m.groups, "bias": m.bias is not None}
                            for n, m in layers.items() if isinstance(m, nn.Conv2d)}}
    with open(os.path.join(here, "meta.json"), "w") as out:
        json.dump(meta, out)


def repvgg_kin(out):
    b = box(rbr_reparam__conv=conv(6, 6, 3, bias=True), rbr_reparam__bn=bn(6))
    f = lambda x: b.rbr_reparam.bn(b.rbr_reparam.conv(x))
    case(out, "repvgg-insert-bn", "DingXiaoH/RepVGG", "RepVGGBlock", b, f, (1, 6, 9, 11), [("rbr_reparam", f, 6, (3, 3), 1, True)])

    q = box(rbr_dense__conv=conv(6, 6, 3), rbr_dense__bn=bn(6), rbr_1x1__conv=conv(6, 6, 1), rbr_1x1__bn=bn(6))
    f = lambda x: q.rbr_dense.bn(q.rbr_dense.conv(x)) + q.rbr_1x1.bn(q.rbr_1x1.conv(x)) + x
    case(out, "qarepvgg-v6-id", "cxxgtxy/QARepVGG", "QARepVGGBlockV6", q, f, (1, 6, 9, 11), [("rbr_reparam", f, 6, (3, 3), 1, True)])

    m = box(alpha=param(1), rbr_dense__conv=conv(6, 6, 3), rbr_dense__bn=bn(6), rbr_1x1__conv=conv(6, 6, 1), rbr_1x1__bn=bn(6))
    f = lambda x: m.rbr_dense.bn(m.rbr_dense.conv(x)) + m.alpha * m.rbr_1x1.bn(m.rbr_1x1.conv(x))
    case(out, "mmyolo-repvgg-alpha", "open-mmlab/mmyolo", "RepVGGBlock", m, f, (1, 6, 9, 11), [("rbr_reparam", f, 6, (3, 3), 1, True)], kept=["alpha"])

    h = box(conv1__conv=conv(6, 6, 3), conv1__norm=bn(6), conv2__conv=conv(6, 6, 1), conv2__norm=bn(6), identity=bn(6))
    f = lambda x: h.conv1.norm(h.conv1.conv(x)) + h.conv2.norm(h.conv2.conv(x)) + h.identity(x)
    case(out, "loftr-hf-id", "huggingface/transformers", "EfficientLoFTRRepVGGBlock", h, f, (1, 6, 9, 11), [("conv", f, 6, (3, 3), 1, True)])

    c = box(conv__c=conv(6, 6, 3, 6), conv__bn=bn(6), conv1x1=conv(6, 6, 1, 6, bias=True), bn=bn(6))
    f = lambda x: c.bn(c.conv.bn(c.conv.c(x)) + c.conv1x1(x) + x)
    case(out, "birder-repvggdw", "birder-project/birder", "RepVggDW", c, f, (1, 6, 9, 11), [("conv", f, 6, (3, 3), 6, True)])

    for name, k, ver, hor in (("3x3", (3, 3), (3, 1), (1, 3)), ("1x3", (1, 3), (1, 1), None), ("3x1", (3, 1), None, (1, 1))):
        parts = {"main_conv": conv(6, 6, k), "main_bn": bn(6), "rbr_identity": bn(6)}
        if ver:
            parts.update(ver_conv=conv(6, 6, ver), ver_bn=bn(6))
        if hor:
            parts.update(hor_conv=conv(6, 6, hor), hor_bn=bn(6))
        t = box(**parts)

        def f(x, t=t, ver=ver, hor=hor):
            y = t.main_bn(t.main_conv(x)) + t.rbr_identity(x)
            y = y + t.ver_bn(t.ver_conv(x)) if ver else y
            return y + t.hor_bn(t.hor_conv(x)) if hor else y

        case(out, "textnet-" + name, "czczup/FAST", "RepConvLayer", t, f, (1, 6, 9, 11), [("fused_conv", f, 6, k, 1, True)])


def paddle(key):
    return key.replace("running_mean", "_mean").replace("running_var", "_variance")


def mobile(out):
    v = box(conv_kxk__0__conv=conv(6, 6, 3, 6), conv_kxk__0__bn=bn(6), conv_kxk__1__conv=conv(6, 6, 3, 6), conv_kxk__1__bn=bn(6),
            conv_1x1__conv=conv(6, 6, 1, 6), conv_1x1__bn=bn(6), identity=bn(6), lab__scale=param(1), lab__bias=param(1))
    kxk = [getattr(v.conv_kxk, n) for n in "01"]
    f = lambda x: sum(m.bn(m.conv(x)) for m in kxk) + v.conv_1x1.bn(v.conv_1x1.conv(x)) + v.identity(x)
    no_counts(v)
    case(out, "lcnetv3-paddle", "PaddlePaddle/PaddleOCR", "LearnableRepLayer", v, lambda x: v.lab.scale * f(x) + v.lab.bias, (1, 6, 9, 11),
         [("reparam_conv", f, 6, (3, 3), 6, True)], kept=["lab"], rename=paddle)

    w = box(conv__conv=conv(6, 6, 3, 6), conv__bn=bn(6), conv1=conv(6, 6, 1, 6), bn=bn(6))
    f = lambda x: w.bn(w.conv.bn(w.conv.conv(x)) + w.conv1(x) + x)
    no_counts(w)
    case(out, "lcnetv4", "PaddlePaddle/PaddleOCR", "RepDWConv", w, f, (1, 6, 9, 11), [("reparam_conv", f, 6, (3, 3), 6, True)], rename=paddle)

    parts = {}
    for n in range(3):
        parts[f"dw_rpr_conv__{n}__conv"], parts[f"dw_rpr_conv__{n}__bn1"] = conv(6, 6, 3, 6, stride=2), bn(6)
    g = box(dw_rpr_scale__conv=conv(6, 6, 1, 6, stride=2), dw_rpr_scale__bn1=bn(6), se__conv_reduce=conv(6, 2, 1, bias=True), **parts)
    branches = [getattr(g.dw_rpr_conv, str(n)) for n in range(3)] + [g.dw_rpr_scale]
    f = lambda x: sum(m.bn1(nn.functional.conv2d(x, m.conv.weight, None, 1, m.conv.padding, 1, 6)) for m in branches)
    case(out, "ghostnetv3-bottleneck-s2", "huawei-noah/Efficient-AI-Backbones", "GhostBottleneck", g, lambda x: sum(m.bn1(m.conv(x)) for m in branches),
         (1, 6, 9, 11), [("conv_dw", f, 6, (3, 3), 6, True)], kept=["se"])


def no_counts(m):
    """Paddle's batch norms do not count."""
    for b in m.modules():
        if isinstance(b, nn.BatchNorm2d):
            b.num_batches_tracked = None


def blocks(out):
    u = box(dwconv=conv(6, 6, 3, 6), norm=bn(6), act__1__gamma=param(1, 1, 1, 12), act__1__beta=param(1, 1, 1, 12), gamma=param(6),
            pwconv1__1=nn.Linear(6, 12), pwconv2__0=nn.Linear(12, 6, bias=False), pwconv2__2=bn(6, -1e-5),
            se__down=conv(6, 2, 1, bias=True), se__up=conv(2, 6, 1, bias=True))
    two, three = getattr(u.pwconv2, "0"), flat(getattr(u.pwconv2, "2"))
    f = lambda x: u.norm(u.dwconv(x))
    g = lambda x: u.gamma * three(two(x + getattr(u.act, "1").beta.view(-1)))
    case(out, "unireplknet-block-k3", "AILab-CVC/UniRepLKNet", "UniRepLKNetBlock", u, f, (1, 6, 9, 11),
         [("dwconv", f, 6, (3, 3), 6, True), ("pwconv2.0", g, 12, (), 1, True)], kept=["act.1.gamma", "pwconv1", "se"])

    h = box(bn1=bn(6), squeeze=conv(6, 4, 3, bias=True), bn2=bn(4), excitate=conv(4, 6, 3, bias=True), bn3=bn(6))
    f, g = lambda x: h.squeeze(h.bn1(x)), lambda x: h.bn3(h.excitate(h.bn2(x)))
    case(out, "fmen-hfab", "NJU-Jet/FMEN", "HFAB", h, f, (1, 6, 9, 11), [("squeeze", f, 6, (3, 3), 1, True), ("excitate", g, 4, (3, 3), 1, True)],
         notes="the border of the images that the batch norms make is theirs; y is of the first layer, with a border of zeros")

    t = box(norm1=bn(8), norm2=bn(8), e_mhsa__norm=bn(8, -1e-5), e_mhsa__q=nn.Linear(8, 8), e_mhsa__k=nn.Linear(8, 8), e_mhsa__v=nn.Linear(8, 8),
            e_mhsa__proj=nn.Linear(8, 8), mlp__fc1=conv(8, 16, 1, bias=True), mlp__fc2=conv(16, 8, 1, bias=True), patch_embed__conv=conv(4, 8, 1))
    one, own = flat(t.norm1), flat(t.e_mhsa.norm)
    f = lambda x: t.mlp.fc1(t.norm2(x))
    case(out, "nextvit-transformer", "huggingface/pytorch-image-models", "NextTransformerBlock", t, f, (1, 8, 9, 11),
         [("e_mhsa.q", lambda x: t.e_mhsa.q(one(x)), 8, (), 1, True), ("e_mhsa.k", lambda x: t.e_mhsa.k(own(one(x))), 8, (), 1, True),
          ("e_mhsa.v", lambda x: t.e_mhsa.v(own(one(x))), 8, (), 1, True), ("mlp.fc1", f, 8, (1, 1), 1, True)], kept=["patch_embed", "e_mhsa.proj", "mlp.fc2"])

    v = box(stem1__0=conv(3, 8, 4, bias=True), stem1__1=bn(8, 1e-6), stem2__0=conv(8, 8, 1, bias=True), stem2__1=bn(8, 1e-6),
            stem2__2__weight=param(8, 1, 7, 7), stem2__2__bn=bn(8, 1e-6), cls1__2=conv(8, 8, 1, bias=True), cls1__3=bn(8, 1e-6), cls2__0=conv(8, 5, 1, bias=True))
    parts = lambda m: [getattr(m, n) for n, _ in sorted(m.named_children())]
    (a, b), (c, d, e) = parts(v.stem1), parts(v.stem2)
    (k, n), (o,) = parts(v.cls1), parts(v.cls2)
    act = lambda x: e.bn(nn.functional.conv2d(x, getattr(v.stem2, "2").weight, None, 1, 3, 1, 8))
    case(out, "vanillanet-stem", "huawei-noah/VanillaNet", "VanillaNet", v, lambda x: o(n(k(x))), (1, 8, 9, 11),
         [("stem.0", lambda x: d(c(b(a(x)))), 3, (4, 4), 1, True), ("stem.1", act, 8, (7, 7), 8, True), ("cls.2", lambda x: o(n(k(x))), 8, (1, 1), 1, True)], at="")


def slab(out):
    def rep(name, n):
        return {name + "__alpha": param(1), name + "__bn": bn(n, -1e-5)}

    def norm(m):
        return lambda x: flat(m.bn)(x) + m.alpha * x

    p = box(**rep("norm", 16), reduction=nn.Linear(16, 8, bias=False))
    f = lambda x: p.reduction(norm(p.norm)(x))
    case(out, "slab-merging", "xinghaochen/SLAB", "PatchMerging", p, f, (5, 16), [("reduction", f, 16, (), 1, True)], at="b.")

    w = box(**rep("layers__0__blocks__0__norm1", 8), **rep("layers__0__blocks__0__norm2", 8), layers__0__blocks__0__attn__qkv=nn.Linear(8, 24),
            layers__0__blocks__0__attn__proj=nn.Linear(8, 8), layers__0__blocks__0__mlp__fc1=nn.Linear(8, 16), layers__0__blocks__0__mlp__fc2=nn.Linear(16, 8),
            **rep("norm", 8), head=nn.Linear(8, 5))
    b = getattr(getattr(w.layers, "0").blocks, "0")
    f = lambda x: w.head(norm(w.norm)(x))
    inner = "layers.0.blocks.0."
    case(out, "slab-model", "xinghaochen/SLAB", "SwinTransformer", w, f, (5, 8),
         [(inner + "attn.qkv", lambda x: b.attn.qkv(norm(b.norm1)(x)), 8, (), 1, True), (inner + "mlp.fc1", lambda x: b.mlp.fc1(norm(b.norm2)(x)), 8, (), 1, True),
          ("head", f, 8, (), 1, True)], kept=[inner + "attn.proj", inner + "mlp.fc2"], at="")


def weights(out):
    for name, layer, key in (("conv", conv(6, 4, 3, bias=True), 0), ("convt", nn.ConvTranspose2d(6, 4, 3, bias=True), 1), ("linear", nn.Linear(6, 4), 0)):
        m = nn.utils.spectral_norm(layer)
        for _ in range(3):
            m(torch.randn((1, 6, 9, 11) if name != "linear" else (5, 6)))
        forms(out, "spectral-norm-" + name, m, lambda m: m.weight_orig / (m.weight_u @ matrix(m.weight_orig, key) @ m.weight_v))
    p = nn.utils.parametrizations.spectral_norm(conv(6, 4, 3, bias=True))
    forms(out, "spectral-norm-new", p, lambda m: m.weight)
    for dim, name in ((None, "all"), (2, "taps")):
        forms(out, "weight-norm-" + name, nn.utils.weight_norm(nn.Conv1d(6, 4, 5), dim=dim),
              lambda m, dim=dim: m.weight_g * m.weight_v / (m.weight_v.norm() if dim is None else m.weight_v.norm(dim=(0, 1), keepdim=True)))
    g = box(r=param(4, 1), theta=param(4, 6), bias=param(4))
    forms(out, "gmp-linear", g, lambda m: m.r * m.theta / m.theta.norm(dim=1, keepdim=True))


class StdConv2d(nn.Conv2d):
    """timm's, google-research/big_transfer's: the class alone says how the weight is used."""

    def used(self, eps):
        w = self.weight
        return nn.functional.batch_norm(w.reshape(1, len(w), -1), None, None, training=True, momentum=0, eps=eps).reshape(w.shape)


class ScaledStdConv2d(StdConv2d):
    """timm's; scale is γ/√n."""

    def __init__(self, *args, gamma, **more):
        super().__init__(*args, **more)
        self.gain, self.scale = param(len(self.weight), 1, 1, 1), gamma * self.weight[0].numel() ** -0.5


def standard(out):
    forms(out, "weight-standard", StdConv2d(6, 4, 3), lambda m: m.used(1e-6))
    forms(out, "weight-standard-scaled", ScaledStdConv2d(6, 4, 3, gamma=1.7881293296813965), lambda m: m.used(1e-6) * m.gain * m.scale)


def matrix(w, dim):
    return w.transpose(0, dim).reshape(w.shape[dim], -1)


def forms(out, name, m, weight):
    """A case of a weight that is computed before use: the deploy form is the weight itself."""
    here = os.path.join(out, name)
    m.eval().double()
    with torch.no_grad():
        for p in list(m.parameters()) + list(m.buffers()):
            p.copy_(p.float().double())
        made = {"weight": weight(m), "bias": m.bias}
        for sub, tensors in (("train", m.state_dict()), ("deploy_derived", made)):
            os.makedirs(os.path.join(here, sub), exist_ok=True)
            for key, t in tensors.items():
                numpy.save(os.path.join(here, sub, "b." + key + ".npy"), t.detach().numpy().astype("float32"))
        for n in "xy":
            numpy.save(os.path.join(here, n + ".npy"), numpy.zeros((1, 1), "float32" if n == "x" else "float64"))
    with open(os.path.join(here, "meta.json"), "w") as f:
        json.dump({"repo": "zer0int/CLIP-fine-tune" if "gmp" in name else "huggingface/pytorch-image-models" if "standard" in name else "pytorch/pytorch", "class": type(m).__name__, "block": "b",
                   "notes": "only the weight is compared; nothing is run"}, f)


def pairs(out):
    i = box(**{"0": conv(4, 6, 3, bias=True), "1": bn(6)})
    f = lambda x: getattr(i, "1")(getattr(i, "0")(x))
    case(out, "conv-bn-indexed", "pytorch/vision", "Sequential", i, f, (1, 4, 9, 11), [("0", f, 4, (3, 3), 1, True)])
    n = box(linear=nn.Linear(6, 4), bn=bn(4, -1e-5))
    f = lambda x: flat(n.bn)(n.linear(x))
    case(out, "linear-bn", "torch.nn.utils.fusion", "Block", n, f, (5, 6), [("linear", f, 6, (), 1, True)])
    low = box(conv=conv(6, 8, 3, bias=True), lora_A=param(6, 18), lora_B=param(24, 6))
    f = lambda x: nn.functional.conv2d(x, low.conv.weight + 0.5 * (low.lora_B @ low.lora_A).view(low.conv.weight.shape), low.conv.bias, 1, 1)
    case(out, "lora-conv", "microsoft/LoRA", "ConvLoRA", low, f, (1, 6, 9, 11), [("conv", f, 6, (3, 3), 1, True)], notes="α/r is 0.5")


if __name__ == "__main__":
    torch.manual_seed(0)
    for make in (repvgg_kin, mobile, blocks, slab, weights, pairs, standard):
        make(sys.argv[1])
