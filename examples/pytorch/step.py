"""The PyTorch side of the pipeline: the step before repfuse, and the step after.

    python3 step.py export  MODEL DIR     random weights and statistics into DIR, and the graph
    python3 step.py check   MODEL DIR     each fused layer of DIR in the running train form
    python3 step.py compare MODEL DIR     the deploy form with DIR's weights against the train form,
                                          or the train form with its layers replaced
"""
import copy
import sys
import warnings

import torch
from torch import nn

import check
import export
import load
from models import MODELS

SEED = 20210111
IMAGES = 2


def trained(name):
    """The train form with a life behind it: no statistic is at its initial value, so
    that none can be forgotten unnoticed. Variances span four decades, which shows a
    wrong epsilon."""
    torch.manual_seed(SEED)
    model = MODELS[name][0]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.2, 1.0)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.5)
            module.running_var.copy_(10 ** torch.empty_like(module.running_var).uniform_(-3, 1))
            module.num_batches_tracked.fill_(1000)
    return model.eval()


def save(name, directory):
    model = trained(name)
    export.export(model, directory, (1, *MODELS[name][2]))
    state = model.state_dict()
    size = sum(t.numel() * t.element_size() for t in state.values())
    print("exported %d tensors, %s bytes, to %s" % (len(state), format(size, ","), directory))


def compare(name, directory):
    train, own = trained(name), MODELS[name][1]
    deploy = own().eval() if own else trained(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no layer stays as it was
        load.load(deploy, directory)  # strict with a deploy form: no key missing, none too many
    print("loaded into the %s: %d tensors" % ("deploy form" if own else "model itself", len(deploy.state_dict())))
    x = torch.randn(IMAGES, *MODELS[name][2])
    same = True
    for dtype, limit in tolerances(MODELS[name][3]).items():
        with torch.no_grad():
            want = copy.deepcopy(train).to(dtype)(x.to(dtype))
            got = copy.deepcopy(deploy).to(dtype)(x.to(dtype))
        same &= report(str(dtype).replace("torch.", ""), got, want, limit)
    return same


def tolerances(layers):
    """How far the outputs may differ, relative to the largest.

    In float64 the arithmetic is exact in comparison, and what is left is the one
    rounding that every fused weight suffered on its way to float32: at most 2^-24 of
    it, in every layer. In float32 both forms also round each of thousands of products
    and sums; 4 bits more for that."""
    unit = 2.0 ** -24
    return {torch.float64: layers * unit, torch.float32: 16 * layers * unit}


def report(dtype, got, want, limit):
    """Prints the largest difference; says whether it is small enough and, where there
    are classes, whether every image gets the same one."""
    worst = ((got - want).abs().max() / want.abs().max()).item()
    line = "%s: largest difference %.1e of the largest output, tolerance %.1e" % (dtype, worst, limit)
    same = worst <= limit  # false for NaN
    if want.dim() == 2:
        agree = (got.argmax(1) == want.argmax(1)).sum().item()
        line += "; same class for %d of %d images" % (agree, len(want))
        same = same and agree == len(want)
    print(line + (": ok" if same else ": DIFFERENT"))
    return same


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("export", "check", "compare") or sys.argv[2] not in MODELS:
        sys.exit("usage: step.py export|check|compare %s DIR" % "|".join(MODELS))
    step, name, directory = sys.argv[1:]
    if step == "export":
        save(name, directory)
    elif step == "check":
        sys.exit(0 if check.check(trained(name), directory, (1, *MODELS[name][2])) else 1)
    elif not compare(name, directory):
        sys.exit(1)


main()
