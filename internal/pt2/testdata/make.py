"""Makes net.pt2, as PyTorch 2.6 saves it, and later.pt2, the same network in the layout of
PyTorch 2.8 and later, which is not at hand: PyTorch 2.6: python3 make.py"""
import json

import torch
from torch import nn
from torch._export.serde import serialize


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn = nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3, eps=1e-3)
        self.b, self.out, self.n1 = nn.Conv2d(3, 3, 1), nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.register_buffer("gain", torch.full((1,), 0.5), persistent=False)

    def forward(self, x, more):
        y = torch.relu(self.bn(self.a(x)) * self.gain + more["x"])
        y = self.b(y)
        return self.n1(self.out(y.mean((2, 3)))), y


def payloads(writer, folder, prefix, tensors):
    """A record for each storage, whole, and what lies where in it."""
    config, paths = {}, {}
    for key, t in tensors.items():
        storage = t.untyped_storage()
        if storage.data_ptr() not in paths:
            paths[storage.data_ptr()] = path = "%s%d" % (prefix, len(paths))
            raw = bytes(storage.tolist())
            writer.write_record("data/%s/%s" % (folder, path), raw, len(raw))
        meta = serialize._dataclass_to_dict(serialize.serialize_tensor_meta(t))
        meta["storage_offset"] = {"as_int": t.storage_offset()}  # which 2.6 leaves out
        config[key] = {"path_name": paths[storage.data_ptr()], "is_param": isinstance(t, nn.Parameter), "use_pickle": False, "tensor_meta": meta}
    text(writer, "data/%s/model_%s_config.json" % (folder, folder), json.dumps({"config": config}))


def text(writer, name, value):
    b = value.encode() if isinstance(value, str) else value
    writer.write_record(name, b, len(b))


def later(program, path):
    writer = torch._C.PyTorchFileWriter(path)
    payloads(writer, "weights", "weight_", program.state_dict)
    payloads(writer, "constants", "tensor_", program.constants)
    artifact = serialize.serialize(program)
    saved = json.loads(artifact.exported_program)
    saved["schema_version"] = {"major": 8, "minor": 17}
    text(writer, "models/model.json", json.dumps(saved))
    text(writer, "data/sample_inputs/model.pt", artifact.example_inputs)
    text(writer, "archive_format", "pt2")
    text(writer, "archive_version", "0")
    writer.write_end_of_file()


torch.manual_seed(1)
inputs = torch.randn(2, 2, 6, 6), {"x": torch.randn(2, 3, 6, 6)}
net = Net().eval()
torch.export.save(torch.export.export(net, inputs), "net.pt2")
# two tensors in one storage, and one whose elements are in another order than its axes
both = torch.arange(8.0)
net.out.bias.data, net.n1.bias.data = both[:4], both[4:]
net.a.weight.data = net.a.weight.data.to(memory_format=torch.channels_last)
later(torch.export.export(net, inputs), "later.pt2")
