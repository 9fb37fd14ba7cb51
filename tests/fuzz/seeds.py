#!/usr/bin/python3
"""Writes a few small valid inputs for each reader, from which fuzzing starts: seeds.py FOLDER makes FOLDER/READER/seed-N.

A last byte that is odd has targets.cc read the recording with a known model.
"""

import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import types

import numpy as np


def npz(compressed, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def safetensors(tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        raw = np.asarray(values, dtype="<i8").tobytes()
        header[name] = {"dtype": "I64", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def vllm(expert_load, p2l_map):
    return json.dumps({"record_type": "eplb_load_stats", "version": 1, "step": 7, "num_ranks": 2, "expert_load": expert_load,
                       "p2l_map": p2l_map}).encode() + b"\n"


class Storage:
    """A storage of 64 bytes in a file that torch.save writes."""

    def __init__(self, kind, key):
        self.kind, self.key = kind, key


class Tensor:
    def __init__(self, kind, key, *size):
        self.storage, self.size = Storage(kind, key), size

    def __reduce__(self):
        strides = tuple(int(np.prod(self.size[i + 1:])) for i in range(len(self.size)))
        return _rebuild_tensor_v2, (self.storage, 0, self.size, strides, False, collections.OrderedDict())


def _rebuild_tensor_v2():
    """Stands in for torch's, which a pickle only names."""


def torch_pickle(value):
    """The pickle of a value with tensors, as torch.save writes it."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    _rebuild_tensor_v2.__module__ = "torch._utils"
    for kind in ("ByteStorage", "IntStorage", "LongStorage"):
        setattr(modules["torch"], kind, type(kind, (), {"__module__": "torch", "__qualname__": kind}))
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 2)
    pickler.persistent_id = lambda object: (
        ("storage", getattr(modules["torch"], object.kind), object.key, "cpu", 16) if isinstance(object, Storage) else None)
    sys.modules.update(modules)
    pickler.dump(value)
    for name in modules:
        del sys.modules[name]
    return out.getvalue()


IDS = np.array([[[0, 1], [2, 3]], [[1, 2], [3, -1]], [[3, 0], [1, 2]]])
MAP = [[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3, 2]]

SEEDS = {
    "npz-trace": [
        npz(False, ids=IDS.astype("<i2"), seq_start=np.array([0, 1, 3])),
        npz(True, ids=IDS, seq_start=np.array([0, 3]), layer_ids=np.array([3, 3]), experts=np.array(4), window=np.array([1], "<u4"),
            stage=np.array(["decode"])),
    ],
    "npz-ids": [npy(IDS.astype("<i2")), npy(IDS.clip(0).astype("u1")[:, :, :1])],
    "npz-loads": [npy(np.arange(12, dtype="<u8").reshape(2, 2, 3)), npy(np.ones((1, 1, 4), "<i4"))],
    "sglang-recording": [
        torch_pickle({"rank": 0, "logical_count": Tensor("IntStorage", "0", 2, 2, 4), "average_utilization_rate_over_window": None}),
        torch_pickle({"records": [{"forward_pass_id": 7, "rank": 0, "gatherer_key": "primary",
                                   "global_physical_count": Tensor("IntStorage", "0", 2, 2)}],
                      "last_physical_to_logical_map": Tensor("LongStorage", "1", 2, 2)}),
    ],
    "model": [(pathlib.Path(__file__).resolve().parents[2] / f"configs/models/{name}.yaml").read_bytes()
              for name in ("mixtral-8x7b", "deepseek-v3")],
    "npy": [
        npy(IDS.astype("<i4")),
        npy(IDS.clip(0).astype("u1")[:, :, :1]),
        npy(np.arange(4, dtype="<u8").reshape(1, 1, 4)),
        npy(np.array([[[0, 0], [1, 2], [0, 0], [2, 3]]] * 2, "u1")),
        npy(np.array([[6, 0, 0, 3], [0, 9, 1, 1]], "<f4")),
    ],
    "sglang-counts": [b'{"logical_count": [[0, 0], [1.0, 2e0]]}', b'{"rank": 0, "logical_count": [[[1, 2]], [[3, 4]]], "average": [null, {"a": "b"}]}'],
    "vllm-statistics": [
        vllm([[10, 1, 5, 2], [2, 8, 1, 3]], [[0, 1, 2, 0], [0, 1, 2, 2]]),
        vllm([[1, 2, 0], [0, 1, 2]], [[0, 1, -1], [1, 0, 0]]) + b"\n" + vllm([[3, 2, 0], [0, 1, 2]], [[1, 0, 1], [1, 0, 0]]).strip(),
    ],
    "layer-lines": [b'{"layer": 1, "counts": [1, 2]}\n{"layer": 3, "counts": [0, 4.0]}\n{"layer": 1, "counts": [1, 2]}\n{"layer": 3, "counts": [5, 6]}\n'],
    "torch-counts": [torch_pickle(Tensor("IntStorage", "0", 2, 4)), torch_pickle(Tensor("ByteStorage", "0", 4, 4))],
    "torch-placement": [torch_pickle({"physical_to_logical_map": Tensor("ByteStorage", "0", 3, 6)})],
    "trtllm-statistics": [safetensors({"1_3": [1, 2, 3, 4], "1_4": [5, 6, 7, 8], "2_3": [9, 0, 1, 2], "2_4": [0, 0, 0, 1]}), safetensors({"7_0": [1, 0, 0, 0]})],
    "cluster": [b"gpus: 8\nnodes: 2\n", b"{gpus: 4, intra_node: {bandwidth_gb_per_s: 4.5e2, latency_us: 3}}\n",
                b"name: a\ngpus: 4\nspeeds: [3x1, 0.5]\nslots: 9\n---\nname: b\ngpus: 2\nmemory_gb: [1, 2e1]\nlayers: 0-3\nstage: decode\n"],
    "placement": [
        json.dumps({"schema": "evenkeel.placement/1", "layer_ids": [1, 2], "experts": 4, "gpus": 2, "nodes": 1, "slots": None,
                    "physical_to_logical_map": MAP, "shares": None}).encode(),
        json.dumps({"schema": "evenkeel.placement/1", "layer_ids": [1, 2], "experts": 4, "gpus": 2, "nodes": 1, "slots": [2, 4],
                    "physical_to_logical_map": MAP, "shares": [[0.5, 0.25, 1, 1, 0.5, 0.75], [0.5, 0.5, 1, 1, 0.5, 0.5]]}).encode(),
        json.dumps({"physical_to_logical_map": [[0, 1, 2, 3, 0, 1], *MAP]}).encode(),
    ],
}


GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "agents/golden/version-1.txt"
KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


def zap(key):
    frames = [b"peer", b"", b"1.0", b"1", b"evenkeel", b"127.0.0.1", b"", b"CURVE", key]
    return b"".join(bytes([len(frame)]) + frame for frame in frames)


SEEDS |= {
    "authorised-keys": [f"{KEY} worker-0\n".encode(), f"# operators\n\n{KEY} alice operator worker=a-* worker=b\n".encode()],
    "curve-secret": [f"{KEY}\n".encode()],
    "zap-request": [zap(bytes(range(1, 33)))],
    "control-request": [b'{"command": "status"}', b'{"command": "freeze", "reason": "a release"}'],
    "message": [bytes.fromhex(line.split()[1]) for line in GOLDEN.read_text().splitlines()],
    "recorded-counts": [json.dumps({"schema": "evenkeel.recorded-counts/2", "incarnation": 7, "reports_from": 9, "layer_ids": [0, 1], "experts": 2,
                                    "stages": [{"stage": 2, "tokens": 3, "counts": [1, 2, 3, 0]}],
                                    "files": {"a.json": [10, 20, 30, 40]}, "gone": [["b.json", [1, 2, 3, 4]]]}).encode()],
}


def write(folder):
    """Writes the seeds and returns their files by reader."""
    files = {}
    for reader, contents in SEEDS.items():
        (folder / reader).mkdir(parents=True, exist_ok=True)
        files[reader] = [folder / reader / f"seed-{number}" for number in range(len(contents))]
        for file, content in zip(files[reader], contents):
            file.write_bytes(content)
    return files


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
