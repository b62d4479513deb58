"""Traces the networks of cmd/repfuse/python/test_networks.py for the Go tests:

    PYTHONPATH=cmd/repfuse/python python3 testdata/graphs/make.py testdata/graphs/graphs.json.gz
"""
import gzip
import json
import sys

import torch

import export
import test_networks

graphs = {}
for name, (make, shapes, _, _) in test_networks.NETWORKS.items():
    model = make().eval()
    model.write = test_networks.write
    graphs[name] = export.trace(model, [torch.zeros(shape) for shape in shapes])
with open(sys.argv[1], "wb") as f:
    f.write(gzip.compress(json.dumps(graphs, separators=(",", ":")).encode(), 9, mtime=0))
