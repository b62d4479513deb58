"""Loads what repfuse wrote into a PyTorch model. This is what
`repfuse exporter --load > load.py` prints.

    import load
    load.load(deploy_model, "out")       # every key must be there and none too many
    load.load(model, "out")              # the model that was exported: its layers are replaced
"""
import copy
import json
import os
import warnings
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def load(model, directory, strict=True):
    """Loads a directory of KEY.npy files. A model in the deploy form takes them by
    load_state_dict, whose result is returned. A model in the training form, with the
    weights that were fused, gets the fused layers in the place of its own: no deploy class
    is needed. A block that no module can stand in for stays as it is, with a warning."""
    state, own = read(directory), model.state_dict()
    layers = [layer for layer in fused(directory) if not fits(own, state, layer)]
    if not layers or any(key not in own for layer in layers for key in layer["reads"]):
        return model.load_state_dict(state, strict=strict)
    for layer in layers:
        weight, bias = state.pop(layer["weight"]), state.pop(layer.get("bias") or kept(layer, state), None)
        why = place(model, layer, weight, bias)
        if why:
            warnings.warn("%s stays in the training form: %s" % (layer["weight"], why))
    found = model.load_state_dict(state, strict=False)
    if found.unexpected_keys:
        raise KeyError("the model has no %s" % ", ".join(found.unexpected_keys))
    return found


def fused(directory):
    """The fused layers, as repfuse's record has them."""
    path = os.path.join(directory, "repfuse.json")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return json.load(f).get("layers", [])


def fits(own, state, layer):
    """Whether the model has a fused layer's tensors, and no others that it was made of."""
    keys = [key for key in (layer["weight"], layer.get("bias")) if key]
    return all(key in own and own[key].shape == state[key].shape for key in keys) and not any(key in own for key in layer["reads"] if key not in keys)


def kept(layer, state):
    """The key of a bias that stays as it was, beside a kernel that was computed."""
    main = (layer.get("branches") or [[]])[0]
    return main[0] + ".bias" if len(main) == 1 and main[0] + ".bias" in state else None


def place(model, layer, weight, bias):
    """Puts a fused layer where the first module of its main branch is. The modules behind it
    become identities, other branches give zero. Returns why it cannot be done, or None."""
    branches = layer.get("branches")
    if not branches or not branches[0]:
        return "it is no sum of modules in a row"
    if [] in branches and layer.get("transposed"):
        return "it adds its input to a transposed convolution"
    names = [name for branch in branches for name in branch]
    modules = dict(model.named_modules())
    if len(set(names)) < len(names) or any(name not in modules for name in names):
        return "the model does not have its modules, each once"
    rest = {name: behind(modules[name]) for name in branches[0][1:]}
    if None in rest.values():
        return "%s does more than its own layer" % next(name for name in rest if rest[name] is None)
    convs = [modules[name] for name in branches[0] if isinstance(modules[name], (nn.Linear, nn.modules.conv._ConvNd))]
    if not convs:
        return "its main branch has no layer that is known"
    replace(model, branches[0][0], build(layer, convs, without_input(layer, weight, branches.count([])), bias))
    for name, module in rest.items():
        replace(model, name, module)
    for branch in filter(None, branches[1:]):
        for name in branch[:-1]:
            replace(model, name, nn.Identity())
        replace(model, branch[-1], Zero())
    return None


def behind(module):
    """What a module still has to do when it is in another's kernel: nothing, or what a norm runs behind
    itself, as timm's BatchNormAct2d its activation. None where a norm does something else."""
    if getattr(module, "running_mean", None) is None:
        return nn.Identity()
    norm, rest = copy.deepcopy(module).eval().float(), nn.Sequential(OrderedDict(module.named_children()))
    for shape in (), (3, 3), (3, 3, 3):
        x = 4 * torch.randn(2, norm.running_mean.numel(), *shape, generator=torch.Generator().manual_seed(0)).to(norm.running_mean)
        try:
            want = norm(x)
            got = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0, norm.eps)
            got = nn.Sequential(OrderedDict(norm.named_children()))(got)
        except Exception:  # a norm of other axes, or modules that cannot stand in a row
            continue
        return (rest if len(rest) else nn.Identity()) if torch.allclose(got, want, 1e-4, 1e-5) else None
    return None


def without_input(layer, weight, times):
    """The kernel less the input, which the model's own code goes on adding so many times: the
    identity is a one at the tap that looks at the output's own place. 1 + k is as it was stored,
    and to take 1 from it is exact where it is near 1, so nothing is lost that was there."""
    channels = torch.arange(weight.shape[0])
    tap = [p // d for p, d in zip(layer.get("padding", ()), layer.get("dilation", ()))]
    if times:
        weight[(channels, channels % weight.shape[1], *tap)] -= times
    return weight


class Zero(nn.Module):
    """The branch that is in another's kernel: what it gives is zero."""

    def forward(self, x):
        return x.new_zeros(()).as_subclass(Nothing)


class Nothing(torch.Tensor):
    """A zero without a shape. A sum of branches may begin with it and go on in place (out += branch(x)), which an
    ordinary one would refuse as soon as a branch has a shape."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # what is computed with it is an ordinary tensor

    def __add__(self, other):
        out = torch.add(self, other)
        return out if out.dim() else out.as_subclass(Nothing)

    __radd__ = __iadd__ = __add__


def build(layer, convs, weight, bias):
    """The layer with its tensors; one alone has the geometry of the layer that it was."""
    old = convs[0]
    if isinstance(old, nn.Linear):
        new = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    else:
        alone = len(convs) == 1 and old.weight.shape[2:] == weight.shape[2:]
        more = {"output_padding": old.output_padding} if layer.get("transposed") else {}
        into, out = weight.shape[1] * layer["groups"], weight.shape[0]
        if layer.get("transposed"):
            into, out = weight.shape[0], weight.shape[1] * layer["groups"]
        new = type(old)(
            into, out, tuple(weight.shape[2:]), groups=layer["groups"], bias=bias is not None, device="meta", padding_mode=old.padding_mode,
            stride=tuple(layer.get("stride") or old.stride), padding=old.padding if alone else tuple(layer["padding"]),
            dilation=old.dilation if alone else tuple(layer["dilation"]), **more)
    new.weight = nn.Parameter(weight.to(old.weight.device), requires_grad=False)
    if bias is not None:
        new.bias = nn.Parameter(bias.to(old.weight.device), requires_grad=False)
    return new.train(old.training)


def replace(model, name, module):
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def read(directory):
    """The state_dict that a directory of KEY.npy files holds."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".npy"))
    if not names:
        raise FileNotFoundError("%s holds no .npy file" % directory)
    return {name[:-len(".npy")]: tensor(os.path.join(directory, name)) for name in names}


def tensor(path):
    """One file as a tensor. Two raw bytes (|V2) are a bfloat16, which numpy lacks."""
    array = np.load(path, allow_pickle=False)
    bfloat16 = array.dtype == np.dtype("V2")
    if bfloat16:
        array = array.view(np.int16)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    try:
        found = torch.from_numpy(array)
    except TypeError as err:
        raise TypeError("%s: %s" % (path, err)) from err
    return found.view(torch.bfloat16) if bfloat16 else found
