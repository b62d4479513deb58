"""Checks fused layers in the running model. This is what
`repfuse exporter --check > check.py` prints; export.py and load.py lie beside it.

    import check
    check.check(model, "out", x)                      # True where every layer is right

    python3 -m check MODULE:FUNCTION out INPUT        # a function that returns the model

The model is in the training form, with the weights that were fused. It runs once on x, a
copy in float64 if it can. Of each fused layer, what really goes into the parts that it was
made of and what really comes out is kept; the layer runs on the same input, and must give the
same. So epsilon, identities, order and whatever else was assumed is held to the network itself.
INPUT is a shape, as 1,3,224,224, or a file that torch.save made of the input.
"""
import functools
import importlib
import sys

import torch
from torch.nn import functional as F

if __package__:  # in the Python package repfuse
    from . import export, load
else:
    import export
    import load

SUMS = ("add", "add_", "sub", "sub_")
MOVES = ("view", "_unsafe_view", "_reshape_alias", "transpose", "permute")
# What a branch that belongs to a layer consists of.
LINEAR = SUMS + (
    "convolution", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training", "addmm", "mm", "linear", "t", "view",
    "mul", "mul_", "div", "constant_pad_nd", "slice", "avg_pool2d", "clone", "detach", "alias", "dropout")


def check(model, directory, *inputs):
    """Prints for each fused layer of a directory of .npy files how far it is from what the
    model computes in its place, and which is the first that is wrong; says whether none is."""
    layers, state = load.fused(directory), load.read(directory)
    if not layers:
        raise ValueError("%s: repfuse.json has no layer that was fused" % directory)
    absent = [key for layer in layers for key in layer["reads"] if key not in model.state_dict()]
    if absent:
        raise ValueError("the model has no %s: it must be in the training form" % absent[0])
    inputs = [torch.randn(x) if export.shape(x) else x for x in inputs]
    places, values, rounding = run(model, layers, inputs)
    first = None
    for layer, runs in zip(layers, places):
        why = judge(layer, runs, values, state, rounding)
        print("%s: %s" % (layer["weight"], why))
        if not why.startswith("ok") and first is None:
            first = layer["weight"]
    print("the first layer that is wrong is %s" % first if first else "all %d layers are right" % len(layers))
    return first is None


def run(model, layers, inputs):
    """Runs the model, in float64 or else in its own type. Returns where each layer runs, the
    values there, and the relative difference that the arithmetic's own rounding may make."""
    usual = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        return (*values(model, layers, [export.mapped(x, double) for x in inputs], double), 0.0)
    except Exception as err:
        print("not in float64 (%s): a difference of some 100 roundings is not seen" % str(err).strip().split("\n")[0])
        torch.set_default_dtype(usual)
        return (*values(model, layers, inputs, None), 256 * torch.finfo(next(model.parameters()).dtype).eps)
    finally:
        torch.set_default_dtype(usual)


def double(t):
    return t.detach().double() if t.is_floating_point() else t.detach().clone()


def values(model, layers, inputs, stand_in):
    found = Kept(model, stand_in, ()).run(export.mapped(inputs, torch.clone))
    flow = Flow(found, {key for layer in layers for key in layer["reads"]})
    places = [flow.places(layer) for layer in layers]
    again = Kept(model, stand_in, {n for runs in places for place in runs if isinstance(place, Place) for n in [place.source, *place.ends]})
    again.run(export.mapped(inputs, torch.clone))
    return places, again.kept


class Kept(export.Trace):
    """A pass that keeps some of its values, as they are when they are made."""

    def __init__(self, model, stand_in, wanted):
        self.wanted, self.kept = wanted, {}
        super().__init__(model, None, stand_in)

    def renumber(self, t):
        n = super().renumber(t)
        if n in self.wanted:
            self.kept[n] = t.detach().clone()
        return n


class Place:
    """Where a layer runs: the value that it reads, and those that it may stand for, of which the
    first is what its own parts make. Each later one is a sum of that before it with more that
    comes of source; up to owed, all is the layer's, and what is missing in it is said. Pads
    are what a function puts around the input before its first part."""

    def __init__(self, ops, source, end, convolutions, moves):
        self.ops, self.source, self.ends, self.convolutions, self.moves = ops, source, [end], convolutions, moves
        self.pads = []
        self.owed, self.missing = 0, ""


class Flow:
    """Who makes and who reads each value of a pass, and which come of parameters alone."""

    def __init__(self, found, taken):
        self.ops, self.values, self.outputs, self.taken = found["ops"], found["values"], set(found["outputs"]), taken
        made = {n for op in self.ops for n in op["out"]}
        self.of = {n: set() for n in range(len(found["values"])) if n not in made and n not in found["inputs"]}
        for key, n in found["keys"].items():
            self.of[n].add(key)
        self.reads, self.parts, self.maker, self.readers, self.users = [], [], {}, {}, {}
        for k, op in enumerate(self.ops):
            given = references([op["in"], *op["named"].values()])
            live = [n for n in given if n not in self.of]
            keys = {key for n in given if n in self.of for key in self.of[n]}
            self.reads.append(live)
            self.parts.append(keys)
            for n in live:
                self.readers.setdefault(n, []).append(k)
            for key in keys if live else ():
                self.users.setdefault(key, []).append(k)
            for n in op["out"]:
                self.maker[n] = k
                if not live:
                    self.of[n] = keys

    def places(self, layer):
        """A Place for each time that the layer runs, or a text that says why there is none."""
        users = [self.users.get(key, []) for key in layer["reads"]]
        unused = [key for key, ops in zip(layer["reads"], users) if not ops]
        if len(unused) == len(users):
            return []
        if unused:
            return ["the pass does not use %s" % unused[0]]
        times = {len(ops) for ops in users}
        if len(times) == 1:
            runs = [{ops[k] for ops in users} for k in range(times.pop())]
        else:
            runs = [{k for ops in users for k in ops}]
        return [self.place(layer, ops) for ops in runs]

    def place(self, layer, ops):
        inside = set(ops)
        while True:
            sources = {n for k in inside for n in self.reads[k] if self.maker.get(n) not in inside}
            ends = {n for k in inside for n in self.ops[k]["out"] if n in self.outputs or any(r not in inside for r in self.readers.get(n, []))}
            if len(sources) == len(ends) == 1:
                break
            if len(sources) > 1:  # one comes of another: what stands between two parts, or before one
                k = max(self.maker.get(n, -1) for n in sources)
                if k < 0:
                    return "its parts read different inputs of the model"
            else:
                later = [r for n in ends for r in self.readers.get(n, []) if r not in inside]
                if not later:
                    return "its parts come to no one value, or an inner value is used elsewhere"
                k = min(later)
            inside.add(k)
        pad = self.maker.get(min(sources), -1)
        if [] in (layer.get("branches") or ()) and pad >= 0 and kind(self.ops[pad]) == "constant_pad_nd":
            inside.add(pad)  # the input that the layer adds is that before it was padded
            sources = set(self.reads[pad])
        moves = [(kind(self.ops[k]), self.ops[k]["in"]) for k in sorted(inside) if k > min(ops) and kind(self.ops[k]) in MOVES]
        place = Place(inside, sources.pop(), ends.pop(), self.convolutions(layer, inside), moves)
        place.pads = [self.ops[k]["in"][1] for k in sorted(inside) if k < min(ops) and kind(self.ops[k]) == "constant_pad_nd"]
        self.follow(layer, place)
        return place

    def follow(self, layer, place):
        """Goes on from a layer's end as long as it is only added to what comes of the same input.
        That is the layer's own, if the layer is a sum or takes its module's place, and the
        addition is done in its module, unless another fused layer is what is added."""
        branches = [k for k in self.readers[place.source] if k in place.ops]
        whole = len(branches) > 1 or layer["weight"] not in layer["reads"]
        end, module = place.ends[0], layer.get("module", "")
        while end not in self.outputs and len(self.readers.get(end, [])) == 1:
            k = self.readers[end][0]
            other = self.branch([n for n in self.reads[k] if n != end], place.source)
            if kind(self.ops[k]) not in SUMS or len(self.reads[k]) != 2 or other is None:
                return
            end, at = self.ops[k]["out"][0], self.ops[k]["at"]
            place.ends.append(end)
            keys = {key for op in other for key in self.parts[op]}
            if whole and (at + ".").startswith(module + "." if module else "") and not keys & self.taken:
                place.owed = len(place.ends) - 1
                place.missing = place.missing or (min(keys) if keys else "its input")

    def branch(self, ends, source):
        """The operators between a source and some values, if all are linear and nothing else comes in."""
        ops, todo, start = set(), list(ends), self.maker.get(source, -1)
        while todo:
            n = todo.pop()
            if n == source:
                continue
            k = self.maker.get(n, -1)
            if k <= start or kind(self.ops[k]) not in LINEAR:
                return None
            ops.add(k)
            todo.extend(self.reads[k])
        return ops if ends else None

    def convolutions(self, layer, ops):
        """The kernel's extents and the arguments of the convolutions that a layer was made of,
        and the keys of a bias that is not the layer's and stays."""
        args = [self.ops[k]["in"] for k in sorted(ops) if kind(self.ops[k]) == "convolution" and self.parts[k] & set(layer["reads"])]
        return [(self.values[references(arg[1])[0]][3:], arg, {key for n in references(arg[2]) for key in self.of[n]} - set(layer["reads"])) for arg in args]


def kind(op):
    return op["op"].split(".")[1] if "." in op["op"] else op["op"]


def references(x):
    """The numbers of the values in an argument, however nested."""
    if isinstance(x, str) and x.startswith("%"):
        return [int(x[1:])]
    return [n for y in x for n in references(y)] if isinstance(x, list) else []


def judge(layer, runs, values, state, rounding):
    """Compares a layer with the network wherever it runs. The text begins with ok or WRONG."""
    said = "ok: the pass does not run it"
    for place in runs:
        if not isinstance(place, Place):
            return "WRONG: %s" % place
        x = values[place.source].double()
        worst = []
        for end in place.ends:
            want = values[end].double()
            try:
                got, room = apply(layer, place, x, state, rounding)
                if got.shape != want.shape:
                    return "WRONG: it makes %s, the network %s" % (list(got.shape), list(want.shape))
            except RuntimeError as err:
                return "WRONG: it does not fit what goes into its parts: %s" % str(err).split("\n")[0]
            far = (got - want).abs()
            worst.append((bool((far <= room + 1e-10 * want.abs().max()).all()), "largest difference %.1e of %.1e" % (far.max(), want.abs().max())))
        right = [k for k, (same, _) in enumerate(worst) if same]
        if not right:
            return "WRONG: " + worst[place.owed][1]
        if right[-1] < place.owed:
            return "WRONG: it is its branches alone, to which the network adds %s: %s" % (place.missing, worst[place.owed][1])
        said = "ok: " + worst[right[-1]][1]
    return said


def apply(layer, place, x, state, rounding):
    """The fused layer of x, and what may be between it and the network for rounding alone: that
    of the stored weights, and of the arithmetic where that is not in float64."""
    kept = [key for _, _, keys in place.convolutions for key in keys if key in state]
    weight, bias = state[layer["weight"]], state.get(layer.get("bias", kept[0] if len(kept) == 1 else None))
    kinds = torch.finfo(weight.dtype)
    unit = max(kinds.eps, rounding)
    weight = weight.double().to(x.device)
    bias = bias.double().to(x.device) if bias is not None else None
    f = operator(layer, place, weight.dim() - 2, tuple(weight.shape[2:]))
    f = moved(f, place)
    room = f(x.abs(), (weight.abs() + kinds.tiny) * unit, None if bias is None else (bias.abs() + kinds.tiny) * unit)
    return f(x, weight, bias), room


def moved(f, place):
    """A function, and behind it what moves axes in the layer's place."""
    def run(*args):
        y = f(*args)
        for name, (_, *axes) in place.moves:
            y = {"transpose": torch.transpose, "permute": torch.permute}[name](y, *axes) if name in ("transpose", "permute") else y.reshape(axes[0])
        return y

    return run


def operator(layer, place, axes, kernel):
    """A fused layer as a function of the input, the weight and the bias. One that was made of
    one convolution has its geometry, which names alone do not always say."""
    if axes <= 0:
        return F.linear
    alone = len(place.convolutions) == 1 and tuple(place.convolutions[0][0]) == kernel
    if alone:
        stride, padding, dilation, transposed, more, groups = place.convolutions[0][1][3:9]
    else:
        strides = [arg[3] for _, arg, _ in place.convolutions] or [[1] * axes]
        stride, padding, dilation = layer.get("stride") or [max(s) for s in zip(*strides)], layer["padding"], layer["dilation"]
        transposed, more, groups = layer.get("transposed", False), 0, layer["groups"]
    if transposed:
        f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        return lambda x, weight, bias: f(x, weight, bias, stride, padding, more, groups, dilation)
    f, mode = (F.conv1d, F.conv2d, F.conv3d)[axes - 1], layer.get("padding_mode", "zeros")
    if alone or mode == "zeros":
        pads = place.pads if alone else []
        return lambda x, weight, bias: f(functools.reduce(F.pad, pads, x), weight, bias, stride, padding, dilation, groups)
    around = [n for n in reversed(padding) for _ in range(2)]
    return lambda x, weight, bias: f(F.pad(x, around, mode), weight, bias, stride, 0, dilation, groups)


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: python3 -m check MODULE:FUNCTION DIR INPUT")
    module, _, function = sys.argv[1].partition(":")
    x = sys.argv[3]
    x = [int(n) for n in x.split(",")] if x.replace(",", "").isdigit() else torch.load(x, weights_only=True)
    model = getattr(importlib.import_module(module), function or "build")()
    sys.exit(0 if check(model, sys.argv[2], x) else 1)


if __name__ == "__main__":
    main()
