"""What another language makes of the bytes that version 1 promises: Debian's msgpack for Python reads every golden message.

A rebalancer of a few lines over Debian's pyzmq then speaks with an agent of ours.
"""

import os
import pathlib
import struct
import subprocess
import unittest

import msgpack
import numpy as np
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVENKEEL_BIN", ROOT / "build/release/bin"))
GOLDEN = ROOT / "tests/agents/golden/version-1.txt"
TRACE = ROOT / "tests/data/evenkeel-moe/day.npz"

PLACEMENT = {"layer_ids": [1, 2], "experts": 4, "nodes": 1, "slots_of_gpu": [2, 2]}
FIRST = {**PLACEMENT, "map": [[0, 1, 2, 3], [0, 1, 2, 3]]}
SECOND = {**PLACEMENT, "map": [[1, 2, 3, 0], [0, 1, 2, 3]]}


def fnv1a(*numbers):
    value = 0xCBF29CE484222325
    for number in numbers:
        for byte in struct.pack("<Q", number):
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def digest(placement):
    cells = [expert for row in placement["map"] for expert in row]
    ids, slots = placement["layer_ids"], placement["slots_of_gpu"]
    return fnv1a(len(ids), *ids, placement["experts"], placement["nodes"], len(slots), *slots, *cells)


STAMP = {"term": 3, "epoch": 1}
EXPECTED = {
    "hello": {
        "incarnation": 1, "model_hash": fnv1a(2, 1, 2, 4), "rank": 0, "world": 2, "layer_ids": [1, 2], "experts": 4, "term": 3,
        "epoch": None},
    "snapshot": {"term": 3, "epoch": 0, "placement": FIRST},
    "report": {
        "incarnation": 1, "sequence": 9, "epoch": 0, "window": 2, "steps": 2000, "last": 0, "losses": {
            "calls_refused": 0, "paths_dropped": 3, "path_batches_lost": 0, "recordings_refused": 0, "messages_dropped": 0,
            "broadcast_gaps": 1, "sends_dropped": 0}, "stages": [
            {"stage": "prefill", "tokens": 14, "counts": [[7, 7, 7, 7], [7, 7, 7, 10**12]]},
            {"stage": "decode", "tokens": 7, "counts": [[5, 5, 5, 5], [5, 5, 5, 5]]}]},
    "report_ack": {"term": 3, "epoch": 0, "incarnation": 1, "sequence": 9, "window_decided": 2},
    "paths": {
        "incarnation": 1, "sequence": 4, "stage": "decode", "window": 2, "top_k": 2, "one_in": 8,
        "experts": [[3, 3, 3, 3], [3, 3, 3, 65535]]},
    "prepare": {
        **STAMP, "base_epoch": 0, "deadline_ms": 30000, "placement": SECOND, "copies": [[0, 1, 0, 1], [1, 3, 1, 0]],
        "chain_left": 2},
    "ready": {**STAMP, "incarnation": 1},
    "commit": {**STAMP, "digest": digest(SECOND)},
    "applied": {**STAMP, "incarnation": 1, "digest": digest(SECOND), "step": 2000},
    "retire": STAMP,
    "abort": {**STAMP, "reason": "the deadline has passed"},
    "refusal": {**STAMP, "reason": "shrinking_counts", "about": "report", "about_epoch": None, "detail": "report 9 counts less"},
}


class Golden(unittest.TestCase):
    def test_every_message_reads_as_the_protocol_says(self):
        read = {}
        for line in GOLDEN.read_text().splitlines():
            name, data = line.split()
            message = msgpack.unpackb(bytes.fromhex(data), strict_map_key=True)
            self.assertEqual((message.pop("type"), message.pop("version")), (name, 1))
            read[name] = message
        self.assertEqual(read, EXPECTED)


class Peer(unittest.TestCase):
    """A rebalancer in Python, written from the protocol alone, and an agent of ours that replays an hour of the day."""

    def setUp(self):
        context = zmq.Context()
        self.addCleanup(context.destroy)
        self.router = context.socket(zmq.ROUTER)
        self.router.linger = 0
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.agent = subprocess.Popen(
            [BIN / "evenkeel-agent", "--replay", TRACE, "--rank", "1", "--world", "2", "--name", "w", "--model", "org/m",
             "--rebalancer", f"tcp://127.0.0.1:{port}", "--probe", f"golden-{os.getpid()}", "--paths-one-in", "8",
             "--decision-wait-ms", "60000", "--tokens-per-second", "1000000", "--report-interval-ms", "100"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.agent.wait, 10)
        self.addCleanup(self.agent.terminate)
        self.sent = 0

    def receive(self):
        self.assertTrue(self.router.poll(10_000), "the agent says nothing")
        peer, topic, sequence, payload = self.router.recv_multipart()
        self.assertEqual((topic, len(sequence)), (b"ep@w@org/m", 8))
        message = msgpack.unpackb(payload)
        self.assertEqual(message.pop("version"), 1)
        return peer, message

    def send(self, peer, **message):
        self.sent += 1
        frames = [b"ep@rebalancer@org/m", struct.pack(">Q", self.sent), msgpack.packb({"version": 1, **message})]
        self.router.send_multipart([peer, *frames])

    def wait_for(self, *types):
        while True:
            peer, message = self.receive()
            if message["type"] in types:
                return peer, message

    def test_speaks_with_an_agent_from_hello_to_a_switch(self):
        peer, hello = self.receive()
        layers, experts = len(hello["layer_ids"]), hello["experts"]
        self.assertEqual((hello["type"], hello["rank"], hello["world"], hello["epoch"]), ("hello", 1, 2, None))
        self.assertEqual(hello["model_hash"], fnv1a(layers, *hello["layer_ids"], experts))

        first = {
            "layer_ids": hello["layer_ids"], "experts": experts, "nodes": 1, "slots_of_gpu": [experts // 2] * 2,
            "map": [list(range(experts))] * layers}
        self.send(peer, type="snapshot", term=1, epoch=0, placement=first)
        _, applied = self.wait_for("applied")
        self.assertEqual((applied["epoch"], applied["digest"], applied["step"]), (0, digest(first), 0))

        # The worker plays the first window and stands at its end until it is decided.
        report = {"window": 0}
        while report["window"] < 1:
            _, report = self.wait_for("report")
        trace = np.load(TRACE)
        start = trace["seq_start"]
        mine = [i for i in range(1, len(start) - 1, 2) if trace["window"][i] == 0]
        ids = np.concatenate([trace["ids"][start[i]:start[i + 1]] for i in mine])
        counts = [np.bincount(ids[:, layer].ravel(), minlength=experts).tolist() for layer in range(layers)]
        self.assertEqual(report["stages"], [{"stage": "mixed", "tokens": len(ids), "counts": counts}])
        self.assertEqual((report["window"], report["steps"]), (1, 1000))

        self.assertEqual(self.paths(len(ids)), ids[::8].reshape(-1, layers * ids.shape[2]).tolist())

        second = {**first, "map": [[31, *range(31), 63, *range(32, 63)]] * layers}
        second["map"][0] = [32, *range(1, 32), 0, *range(33, 64)]
        self.send(peer, type="prepare", term=1, epoch=1, base_epoch=0, deadline_ms=5000, placement=second,
                  copies=[[0, 32, 1, 0], [0, 0, 0, 1]], chain_left=0)
        _, ready = self.wait_for("ready")
        self.assertEqual((ready["epoch"], ready["incarnation"]), (1, hello["incarnation"]))
        self.send(peer, type="commit", term=1, epoch=1, digest=digest(second))
        _, applied = self.wait_for("applied")
        self.assertEqual((applied["epoch"], applied["digest"], applied["step"]), (1, digest(second), 1000))
        self.send(peer, type="report_ack", term=1, epoch=1, incarnation=hello["incarnation"], sequence=report["sequence"],
                  window_decided=1)
        while report["window"] < 2:
            _, report = self.wait_for("report")
        self.assertEqual((report["epoch"], report["steps"]), (1, 2000))

    def paths(self, tokens):
        """The sampled paths of the first window, in order."""
        rows, sequence = [], 0
        while len(rows) < (tokens + 7) // 8:
            _, paths = self.wait_for("paths")
            self.assertEqual((paths["one_in"], paths["top_k"], paths["window"]), (8, 6, 0))
            self.assertEqual(paths["sequence"], sequence + 1)
            sequence = paths["sequence"]
            rows += paths["experts"]
        return rows


if __name__ == "__main__":
    unittest.main()
