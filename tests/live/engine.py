"""An engine's worker in Python: calls the probe's C functions by ctypes, as a plug-in would, until it is told to stop.

Usage: engine.py LIBRARY PROBE RANK WORLD STEPS MODEL. Routes 64 tokens a step over 2 layers of 8 experts, more to low numbers;
prints "<tokens> <epoch> <digest>" at the end. Ranks switch by themselves: this engine has no collective.
"""

import ctypes
import sys
import time

import numpy as np

LAYERS, EXPERTS, TOP_K, TOKENS = 2, 8, 2, 64
PREPARE = 1


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t), ("model", ctypes.c_char_p), ("worker", ctypes.c_char_p), ("rank", ctypes.c_uint32),
        ("world", ctypes.c_uint32), ("layer_ids", ctypes.c_void_p), ("paths_one_in", ctypes.c_uint32),
        ("slots_max", ctypes.c_uint32)]


class Epoch(ctypes.Structure):
    _fields_ = [
        ("epoch", ctypes.c_int64), ("base_epoch", ctypes.c_int64), ("digest", ctypes.c_uint64), ("gpus", ctypes.c_uint32),
        ("slots", ctypes.c_uint32), ("slots_of_gpu", ctypes.POINTER(ctypes.c_uint32)), ("map", ctypes.POINTER(ctypes.c_uint16)),
        ("copies", ctypes.c_void_p), ("copy_count", ctypes.c_size_t), ("chain_left", ctypes.c_uint32)]


def load(path):
    library = ctypes.CDLL(path)
    library.ek_probe_open.restype = ctypes.c_void_p
    library.ek_probe_error.restype = ctypes.c_char_p
    library.ek_probe_held.restype = ctypes.c_int64
    return library


def main(path, name, rank, world, steps, model):
    probe_c = load(path)
    options = Options(ctypes.sizeof(Options), model.encode(), None, rank, world, None, 4, 0)
    probe = ctypes.c_void_p(probe_c.ek_probe_open(name.encode(), LAYERS, EXPERTS, TOP_K, ctypes.byref(options)))
    if not probe.value:
        sys.exit(probe_c.ek_probe_error().decode())
    random = np.random.default_rng(rank)
    epoch, running, digests = Epoch(), -1, {-1: 0}
    for step in range(steps):
        for layer in range(LAYERS):
            ids = np.minimum(random.geometric(0.4, (TOKENS, TOP_K)) - 1, EXPERTS - 1).astype(np.int64)
            probe_c.ek_probe_record_ids_i64(probe, layer, ctypes.c_void_p(ids.ctypes.data), ctypes.c_size_t(TOKENS))
        probe_c.ek_probe_end_step(probe, 1)
        if probe_c.ek_probe_poll(probe, ctypes.byref(epoch)) == PREPARE:
            digests[epoch.epoch] = epoch.digest
            held = {epoch.map[slot] for slot in range(LAYERS * epoch.slots)}
            assert held == set(range(EXPERTS)), held
            probe_c.ek_probe_ready(probe, ctypes.c_int64(epoch.epoch))
        if (held := probe_c.ek_probe_held(probe)) > running:
            running = held
            probe_c.ek_probe_switched(probe, ctypes.c_int64(running), ctypes.c_uint64(step))
        time.sleep(0.001)
    print(TOKENS * steps, running, f"{digests[running]:016x}", flush=True)
    sys.stdin.read()
    probe_c.ek_probe_close(probe)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6])
