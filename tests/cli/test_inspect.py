"""evenkeel inspect: its figures against those computed here from the definitions (docs/reference/inspect.md)."""

import collections
import json
import os
import random
import struct
import unittest

import numpy as np
from harness import DATA, DAY, NO_DATA, ROOT, CommandTest, npy, npz, run

DOMAIN = ROOT / "tests/data/evenkeel-moe/domain-c.npz"
GPT_OSS = DATA / "gpt-oss-20b/tokens_topk.npz"
DEEPSEEK = sorted((DATA / "deepseek-v3").glob("*.json"))


def sequences_of(ids, starts):
    return [ids[begin:end] for begin, end in zip(starts, starts[1:])]


def uses_of_segments(sequences, layer, experts, m):
    """f(e, T, p, m): [segments, experts], all sequences together."""
    rows = []
    for ids in sequences:
        active = np.zeros((len(ids) + 1, experts), dtype=np.int64)
        for token, chosen in enumerate(ids[:, layer]):
            active[token + 1, chosen[chosen >= 0]] = 1
        sums = active.cumsum(axis=0)
        if len(ids) >= m:
            rows.append(sums[m:] - sums[:-m])
    return np.concatenate(rows)


def srp(uses, m):
    """F1 of the best threshold, and the size ratio it has."""
    best = (0.0, None)
    for threshold in range(m, -1, -1):
        on = uses >= threshold
        f1 = 2 * uses[on].sum() / (m * on.sum() + uses.sum()) if uses.any() else 0.0
        if f1 > best[0]:
            best = (f1, m * on.sum() / uses.sum())
    return best


def sch(sequences, layers, places, m):
    """Hit rate of one cache over these layers."""
    hits = demands = 0
    for ids in sequences:
        demanded = [{(layer, int(e)) for layer in layers for e in token[layer] if e >= 0} for token in ids]
        cache, last_use = set(), {}
        for t, wanted in enumerate(demanded):
            coming = collections.Counter(key for later in demanded[t + 1 : t + 1 + m] for key in later)
            demands += len(wanted)
            missing = wanted - cache
            evictions = max(0, len(cache) + len(missing) - places)
            hits += len(wanted) - evictions
            worth = sorted((coming[key], last_use[key], key) for key in cache - wanted)
            cache -= {key for _, _, key in worth[:evictions]}
            cache |= missing
            last_use.update(dict.fromkeys(wanted, t))
    return hits / demands


def integers(values, code):
    return struct.pack(f"<{len(values)}{code}", *values)


class Inspect(CommandTest):
    def small_trace(self, seed):
        """Sequences of a few layers with empty choices, and neighbours that often choose alike."""
        draw = random.Random(seed)
        layers, experts, top_k, starts, tokens = 3, 6, 2, [0], []
        chosen = [draw.sample(range(experts), top_k) for _ in range(layers)]
        for length in (11, 2, 17, 6):
            for _ in range(length):
                chosen = [draw.sample(range(experts), top_k) if draw.random() < 0.5 else old for old in chosen]
                tokens.append([[-1 if draw.random() < 0.1 else expert for expert in row] for row in chosen])
            starts.append(len(tokens))
        ids = np.array(tokens)
        path = npz(self.folder / f"{seed}.npz", ids=npy("<i2", ids.shape, integers(ids.flatten().tolist(), "h")),
                   seq_start=npy("<i8", (len(starts),), integers(starts, "q")))
        return path, sequences_of(ids, starts), experts

    def test_srp_and_sch_follow_their_definitions(self):
        for seed in range(6):
            path, sequences, experts = self.small_trace(seed)
            report = self.json_of("inspect", path, "--experts", experts, "--segments", "1,3,5", "--cache-ratios", "1,1.5,2", "--json")
            for entry in report["srp"]:
                m = entry["segment_tokens"]
                by_layer = [uses_of_segments(sequences, layer, experts, m) for layer in range(3)]
                self.assertEqual(entry["segments"], len(by_layer[0]))
                for layer, uses in enumerate(by_layer):
                    best, ratio = srp(uses, m)
                    self.assertAlmostEqual(entry["rounds"][layer]["srp"], best)
                    self.assertAlmostEqual(entry["rounds"][layer]["size_ratio"], ratio)
                    for expert in range(experts):
                        self.assertAlmostEqual(entry["experts"][layer][expert], srp(uses[:, expert], m)[0])
                self.assertAlmostEqual(entry["model"]["srp"], srp(np.stack(by_layer), m)[0])
            for entry in report["sch"]:
                m, ratio = entry["segment_tokens"], entry["cache_ratio"]
                for layer in range(3):
                    self.assertAlmostEqual(entry["rounds"][layer], sch(sequences, [layer], int(2 * ratio), m))
                self.assertAlmostEqual(entry["model"], sch(sequences, range(3), int(6 * ratio), m))

    def test_the_bundled_domain_has_the_figures_that_numpy_finds(self):
        with np.load(DOMAIN) as trace:
            ids, starts = trace["ids"].astype(int), trace["seq_start"]
        report = self.json_of("inspect", DOMAIN, "--segments", "4,16", "--cache-ratios", "2", "--json", "--gpus", 8, "--windows", 4)
        for entry in report["srp"]:
            uses = [uses_of_segments(sequences_of(ids, starts), layer, 64, entry["segment_tokens"]) for layer in (0, 7)]
            for layer, of_layer in zip((0, 7), uses):
                self.assertAlmostEqual(entry["rounds"][layer]["srp"], srp(of_layer, entry["segment_tokens"])[0])
        loads = np.stack([np.bincount(ids[:, layer].ravel(), minlength=64) for layer in range(8)])
        shares = loads / loads.sum(axis=1, keepdims=True)
        for layer, figures in enumerate(report["skew"]["layers"]):
            self.assertAlmostEqual(figures["hottest_ratio"], 64 * shares[layer].max())
            self.assertAlmostEqual(figures["variation"], 64 * shares[layer].std())
            self.assertAlmostEqual(figures["top_tenth_share"], np.sort(shares[layer])[-7:].sum())
            self.assertAlmostEqual(figures["gini"], abs(np.subtract.outer(shares[layer], shares[layer])).sum() / (2 * 64))
            used = shares[layer][shares[layer] > 0]
            self.assertAlmostEqual(figures["entropy"], -(used * np.log(used)).sum() / np.log(64))
        gpu_loads = loads.reshape(8, 8, 8).sum(axis=2)
        imbalance = (gpu_loads.max(axis=1) / gpu_loads.mean(axis=1)).mean()
        self.assertAlmostEqual(report["skew"]["contiguous"]["imbalance_mean"], imbalance)
        joint = np.zeros((64, 64))
        for a in range(6):
            for b in range(6):
                np.add.at(joint, (ids[:, 2, a], ids[:, 3, b]), 1 / 36 / len(ids))
        rows, columns = joint.sum(axis=1), joint.sum(axis=0)
        seen = joint > 0
        information = (joint[seen] * np.log(joint[seen] / np.outer(rows, columns)[seen])).sum()
        entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (rows, columns)]
        pair = report["affinity"][2]
        self.assertAlmostEqual(pair["information"], information / min(entropies))
        self.assertAlmostEqual(pair["top_successor_ratio"], 64 * joint.max(axis=1).sum())
        self.assertLess(pair["information_noise"], pair["information"] / 4)
        parts = np.array_split(ids, 4)  # 32 sequences of 256 tokens
        first, second = (np.bincount(part[:, 5].ravel(), minlength=64) / part[:, 5].size for part in parts[:2])
        step = report["drift"]["steps"][0]
        self.assertAlmostEqual(step["variation_by_layer"][5], abs(first - second).sum() / 2)
        self.assertEqual(report["drift"]["source"], "sequences")

    def test_the_bundled_day_changes_at_window_27(self):
        report = self.json_of("inspect", DAY, "--json", "--segments", 16, "--cache-ratios", 2)
        self.assertEqual(report["schema"], "evenkeel.inspect/1")
        shape = report["shape"]
        self.assertEqual((shape["layers"], shape["experts"], shape["top_k"], shape["tokens"], shape["sequences"], shape["windows"]),
                         (8, 64, 6, 72606, 560, 40))
        self.assertEqual(report["drift"]["source"], "marked")
        steps = report["drift"]["steps"]
        largest = max(steps, key=lambda step: step["variation_mean"])
        self.assertEqual((largest["from"], largest["to"]), ("26", "27"))
        self.assertGreater(largest["variation_mean"], 2.5 * largest["noise_mean"])
        ratios = sorted(step["variation_mean"] / step["noise_mean"] for step in steps)
        self.assertLess(ratios[len(ratios) // 2], 1.2)
        self.assertAlmostEqual(report["fan_out"]["experts_per_token"], 48)

    def test_equal_on_one_thread_and_two(self):
        options = ("inspect", DOMAIN, "--json", "--segments", "4,16")
        self.assertEqual(self.succeed(*options, "--threads", 1).stdout, self.succeed(*options, "--threads", 2).stdout)

    def test_pictures_follow_locale_and_never_colour_a_pipe(self):
        environment = {key: value for key, value in os.environ.items() if key not in ("LC_ALL", "LC_CTYPE", "LANG", "COLUMNS")}
        options = ("inspect", DAY, "--segments", 16, "--cache-ratios", 2)
        utf8 = self.succeed(*options, env={**environment, "LANG": "en_GB.UTF-8"}).stdout
        ascii_only = self.succeed(*options, env={**environment, "LC_ALL": "C", "LANG": "en_GB.UTF-8"}).stdout
        self.assertIn("█", utf8)
        self.assertTrue(ascii_only.isascii())
        self.assertNotIn("\x1b", utf8)
        self.assertEqual(len(utf8.splitlines()), len(ascii_only.splitlines()))
        for line in utf8.splitlines():
            self.assertLessEqual(len(line), 80)
        for section in ("SHAPE", "SKEW", "DRIFT", "AFFINITY", "FAN-OUT", "SRP", "SCH"):
            self.assertIn(f"\n{section}", "\n" + utf8)

    def test_loads_alone_say_what_they_cannot_tell(self):
        path = self.folder / "counts.json"
        path.write_text(json.dumps({"logical_count": [[[0, 0], [6, 2]], [[0, 0], [2, 6]]]}))
        report = self.json_of("inspect", path, "--json")
        for key in ("stage_drift", "affinity", "fan_out", "srp", "sch"):
            self.assertIsNone(report[key], key)
        self.assertIn("token paths", " ".join(report["notes"]))
        self.assertAlmostEqual(report["drift"]["first_to_last"]["variation_mean"], 0.5)
        self.assertEqual(report["shape"]["layer_ids"], [1])
        self.assertIn("loads only", self.succeed("inspect", path).stdout)

    def test_bad_options_are_named(self):
        for options, message in ((("--segments", "0"), "segments names 0; give lengths of 1 to 4096 tokens (--segments)"),
                                 (("--segments", "4,4"), "segments names 4 twice"),
                                 (("--cache-ratios", "0.5"), "cache_ratios names 0.5"),
                                 (("--windows", "1"), "windows is 1; give 2 to 10000 (--windows)")):
            result = run("inspect", DAY, *options)
            self.assertEqual(result.returncode, 2)
            self.assertIn(message, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
        result = run("inspect", DAY, "--gpus", 5)
        self.assertEqual(result.returncode, 3)

    @unittest.skipUnless(GPT_OSS.exists(), NO_DATA)
    def test_gpt_oss(self):
        report = self.json_of("inspect", GPT_OSS, "--json", "--gpus", 8, "--cache-tokens", 16384)
        shape = report["shape"]
        self.assertEqual((shape["layers"], shape["experts"], shape["top_k"], shape["tokens"]), (24, 32, 4, 215438))
        self.assertAlmostEqual(report["skew"]["contiguous"]["imbalance_mean"], 1.43, places=2)
        by_length = {entry["segment_tokens"]: entry for entry in report["srp"]}
        self.assertEqual(list(by_length), [4, 16, 64, 256])
        self.assertAlmostEqual(by_length[16]["model"]["srp"], 0.545, places=3)
        for entry in report["srp"]:
            self.assertGreater(entry["model"]["srp"], entry["model_chance"] + 0.1)
        with np.load(GPT_OSS) as trace:
            sequences = sequences_of(trace["ids"].astype(int), trace["seq_start"])
        self.assertAlmostEqual(by_length[64]["rounds"][23]["srp"], srp(uses_of_segments(sequences, 23, 32, 64), 64)[0])
        for entry in report["sch"]:
            self.assertLess(entry["tokens"], 2 * 16384)
            self.assertGreaterEqual(entry["model"], entry["router"] - 0.01)

    @unittest.skipUnless(DEEPSEEK, NO_DATA)
    def test_deepseek_v3_drifts_between_workloads(self):
        report = self.json_of("inspect", *DEEPSEEK, "--json", "--gpus", 32)
        self.assertEqual((report["shape"]["layers"], report["shape"]["hidden_layers"], report["shape"]["windows"]), (58, 61, 6))
        for step in report["drift"]["steps"]:
            self.assertGreater(step["variation_mean"], 10 * step["noise_mean"])


if __name__ == "__main__":
    unittest.main()
