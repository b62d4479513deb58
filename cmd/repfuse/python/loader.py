"""Loads what repfuse wrote into a PyTorch model. This is what
`repfuse exporter --load > load.py` prints.

    import load
    load.load(deploy_model, "out")       # every key must be there and none too many
"""
import os

import numpy as np
import torch


def load(model, directory, strict=True):
    """load_state_dict of the KEY.npy files of a directory; returns what that returns."""
    return model.load_state_dict(read(directory), strict=strict)


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
