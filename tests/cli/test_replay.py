"""A day replayed under several ways to rebalance."""

import json
import os
import random
import re
import struct
import time
import unittest

import harness
from harness import DAY, CommandTest, run

IS_FULL = os.environ.get("EVENKEEL_FULL") == "1"


class Replay(CommandTest):
    def replay(self, trace, *options):
        return self.json_of("replay", trace, "--gpus", 8, *options, "--json")

    def lanes(self, document):
        return {lane["policy"]: lane for lane in document["policies"]}

    def test_evenkeel_serves_the_day_as_fast_as_the_best_fixed_interval_known_in_hindsight(self):
        fixed = [f"every:{n}:{strategy}" for n in (1, 2, 3, 4, 8) for strategy in ("eplb", "lpt")]
        options = [part for policy in (*fixed, "evenkeel", "oracle") for part in ("--policy", policy)]
        document = self.replay(DAY, *options)
        lanes = self.lanes(document)
        self.assertEqual(set(lanes), {"never", *fixed, "evenkeel", "oracle"})
        best = max(lanes[policy]["throughput"] for policy in fixed)
        print(f"evenkeel {lanes['evenkeel']['throughput'] / best:.4f} of the best fixed interval")
        self.assertGreaterEqual(lanes["evenkeel"]["throughput"], 0.99 * best)
        self.assertGreater(lanes["oracle"]["throughput"], lanes["evenkeel"]["throughput"])
        self.assertEqual(document["verdict"], "rebalance")

    def test_a_window_without_load_is_no_free_step(self):
        steps = [[[6, 2, 3, 5]], [[0, 0, 0, 0]], [[5, 3, 2, 6]]]
        documents = []
        for name, windows in (("with", steps), ("without", steps[::2])):
            ids = [e for window in windows for expert, count in enumerate(window[0]) for e in [expert] * count]
            starts = [0]
            for window in windows:
                starts.append(starts[-1] + sum(window[0]))
            trace = harness.npz(self.folder / f"{name}.npz", ids=harness.npy("|i1", (len(ids), 1, 1), bytes(ids)),
                                seq_start=harness.npy("<i8", (len(starts),), struct.pack(f"<{len(starts)}q", *starts)),
                                window=harness.npy("<i4", (len(windows),), struct.pack(f"<{len(windows)}i", *range(len(windows)))))
            documents.append(self.json_of("replay", trace, "--gpus", 2, "--policy", "every:1", "--json"))
        self.assertEqual(documents[0]["policies"], documents[1]["policies"])

    def test_figures_follow_from_one_another(self):
        document = self.replay(DAY, "--policy", "every:5", "--steps-per-window", 10, "--batch-tokens", 4096)
        for lane in document["policies"]:
            self.assertEqual(lane["windows"], 40)
            self.assertEqual(len(lane["imbalance_by_window"]), 40)
            self.assertAlmostEqual(sum(lane["imbalance_by_window"]) / 40, lane["imbalance_mean"])
            self.assertAlmostEqual(sum(lane["step_time_by_window"]) * 10, lane["serving_seconds"])
            self.assertAlmostEqual(lane["throughput"], 400 * 4096 / (lane["serving_seconds"] + lane["stall_seconds"]), delta=1e-3)
            self.assertEqual(sum(epoch["moves"] for epoch in lane["epochs"]), lane["moves"])
            self.assertAlmostEqual(lane["moved_bytes"], 44e6 * lane["moves"])
        never, every = document["policies"]
        self.assertEqual((never["policy"], never["moves"], never["stall_seconds"]), ("never", 0, 0))
        self.assertEqual([epoch["window"] for epoch in every["epochs"]], [4, 9, 14, 19, 24, 29, 34])

    def test_a_flat_day_is_left_alone(self):
        ids = [(8 * token + choice) % 64 for token in range(1600) for _ in range(4) for choice in range(8)]
        trace = harness.npz(
            self.folder / "flat.npz",
            ids=harness.npy("<u2", "(1600, 4, 8)", struct.pack(f"<{len(ids)}H", *ids)),
            seq_start=harness.npy("<i8", "(21,)", struct.pack("<21q", *range(0, 1601, 80))),
            window=harness.npy("<i4", "(20,)", struct.pack("<20i", *range(20))))
        document = self.replay(trace)
        lane = self.lanes(document)["evenkeel"]
        self.assertEqual(document["verdict"], "keep", document["reason"])
        self.assertEqual((lane["moves"], lane["imbalance_mean"]), (0, 1.0))

    def test_chance_alone_moves_nothing(self):
        rng = random.Random(2)
        ids = [expert for _ in range(8000 * 4) for expert in rng.sample(range(64), 6)]
        trace = harness.npz(
            self.folder / "chance.npz",
            ids=harness.npy("<u2", "(8000, 4, 6)", struct.pack(f"<{len(ids)}H", *ids)),
            seq_start=harness.npy("<i8", "(81,)", struct.pack("<81q", *range(0, 8001, 100))),
            window=harness.npy("<i4", "(80,)", struct.pack("<80i", *(sequence // 8 for sequence in range(80)))))
        document = self.replay(trace)
        lane = self.lanes(document)["evenkeel"]
        self.assertGreater(lane["imbalance_mean"], 1.02)
        self.assertEqual((document["verdict"], lane["moves"]), ("keep", 0), document["reason"])

    def test_spare_slots_are_replayed_side_by_side(self):
        document = self.replay(DAY, "--redundant", "0,16")
        by_slots = {(lane["redundant"], lane["policy"]): lane for lane in document["policies"]}
        self.assertEqual(len(by_slots), 4)
        self.assertNotEqual(by_slots[16, "evenkeel"]["throughput"], by_slots[0, "evenkeel"]["throughput"])
        # Never is worse with spare slots that hold any expert twice; gains are against never without.
        never = by_slots[0, "never"]["throughput"]
        self.assertLess(by_slots[16, "never"]["throughput"], never)
        redundant, best = max(((slots, lane["throughput"]) for (slots, policy), lane in by_slots.items() if policy == "evenkeel"), key=lambda pair: pair[1])
        self.assertIn(f"{redundant} redundant: evenkeel serves {100 * (best / never - 1):.2f} % more", document["reason"])

    def test_a_profile_of_a_day_has_the_days_computing(self):
        day, loads = self.folder / "mixtral.npz", self.folder / "loads.npz"
        self.succeed("synth", "--model", "mixtral-8x7b", "--tokens", 40000, "--windows", 4, "-o", day)
        self.succeed("profile", day, "-o", loads)
        cluster = self.folder / "cluster.yaml"
        cluster.write_text("gpus: 4\nintra_node: {bandwidth_gb_per_s: 1000000, latency_us: 0}\n")
        steps = [json.loads(self.succeed("replay", file, "--cluster", cluster, "--model", "mixtral-8x7b", "--policy", "never", "--json").stdout)
                 ["policies"][0]["step_time_seconds"] for file in (day, loads)]
        self.assertAlmostEqual(steps[0], steps[1], delta=1e-4 * steps[1])

    def test_loads_alone_are_said_to_leave_communication_out(self):
        loads = self.folder / "loads.npz"
        self.succeed("profile", DAY, "-o", loads)
        result = self.succeed("replay", loads, "--gpus", 8)
        self.assertIn("note: the recording is of loads: step times are of computing alone", result.stderr)
        self.assertEqual(self.succeed("replay", DAY, "--gpus", 8).stderr, "")

    def test_a_day_of_one_window_is_refused(self):
        whole = self.folder / "whole.npz"
        self.succeed("synth", "--layers", 2, "--experts", 16, "--top-k", 2, "--tokens", 4000, "-o", whole)
        result = run("replay", whole, "--gpus", 4)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("it has one window", result.stderr)

    def test_nothing_is_moved_after_the_last_window(self):
        lane = self.lanes(self.replay(DAY, "--policy", "every:8"))["every:8"]
        self.assertEqual([epoch["window"] for epoch in lane["epochs"]], [7, 15, 23, 31])
        self.assertEqual(lane["step_time_p99_seconds"], max(lane["step_time_by_window"]))

    def test_a_strategy_without_a_plan_keeps_what_runs(self):
        document = self.replay(DAY, "--policy", "every:40:moetuner", "--policy", "every:39:moetuner", "--work", 1000)
        lanes = self.lanes(document)
        self.assertEqual([(lanes[f"every:{n}:moetuner"]["plans_missed"], lanes[f"every:{n}:moetuner"]["moves"]) for n in (39, 40)], [(1, 0), (1, 0)])

    def test_it_is_the_same_again(self):
        self.assertEqual(self.replay(DAY, "--policy", "evenkeel"), self.replay(DAY, "--policy", "evenkeel"))

    def test_the_table_ends_with_the_verdict(self):
        text = self.succeed("replay", DAY, "--gpus", 8).stdout
        self.assertTrue(re.search(r"^rebalance: evenkeel serves \d+\.\d+ % more tokens", text.splitlines()[-1]), text)

    def test_a_running_placement_serves_first(self):
        start = self.folder / "start.json"
        self.succeed("partition", DAY, "--gpus", 8, "--time", "1s", "-o", start)
        plain, started = (self.replay(DAY, "--policy", "never", *extra) for extra in ((), ("--start", start)))
        self.assertNotEqual(started["policies"][0]["imbalance_by_window"][0], plain["policies"][0]["imbalance_by_window"][0])
        self.assertEqual(len(started["policies"]), 1)

    def test_refusals(self):
        for expected, options in (("every:N", ("--policy", "every:0")), ("did you mean 'evenkeel'", ("--policy", "evenkel")),
                                  ("twice", ("--policy", "never", "--policy", "never")), ("--stall", ("--stall", "2")),
                                  ("--max-moves", ("--max-moves", "0")), ("--slack", ("--slack", "0.1,-1")),
                                  ("slack", ("--slack", "nan")), ("add --policy every:N:evenkeel", ("--slack", "0,0.1")),
                                  ("leave one out", ("--start", "running.json", "--redundant", "8"))):
            result = run("replay", DAY, "--gpus", 8, *options)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(expected, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)

    def test_a_made_up_day_of_256_experts_is_served_nearly_as_fast_as_by_hindsight(self):
        # Any forecast misses what a window has by chance: windows of 50,000 tokens have more of it than those of 100,000.
        layers, windows, tokens, ratio_max = (4, 64, 6_400_000, 1.03) if IS_FULL else (2, 16, 800_000, 1.06)
        trace = self.folder / "day.npz"
        self.succeed("synth", "--layers", layers, "--experts", 256, "--top-k", 8, "--tokens", tokens, "--windows", windows, "--drift", 0.5,
                     *(("--shift-at", 40) if IS_FULL else ()), "-o", trace)
        fixed = ["every:1", "every:2", "every:4", "every:2:lpt"]
        document = self.json_of("replay", trace, "--gpus", 32, "--nodes", 4, *(part for policy in (*fixed, "evenkeel", "oracle")
                                                                             for part in ("--policy", policy)), "--json")
        lanes = self.lanes(document)
        ratio = lanes["evenkeel"]["step_time_seconds"] / lanes["oracle"]["step_time_seconds"]
        best = max(lanes[policy]["throughput"] for policy in fixed)
        print(f"made-up day: step time {ratio:.4f} of the oracle's, throughput {lanes['evenkeel']['throughput'] / best:.4f} of the best interval's")
        self.assertLess(ratio, ratio_max)
        self.assertGreaterEqual(lanes["evenkeel"]["throughput"], 0.99 * best)

    def test_a_sweep_replays_the_day_with_each(self):
        document = self.replay(DAY, "--sweep-nodes", "1,2", "--slack", "0,0.1", "--policy", "every:10:evenkeel", "--work", 200000)
        days = {(lane["nodes"], lane["slack"]): lane for lane in document["policies"] if lane["policy"] != "never"}
        self.assertEqual(sorted(days), [(1, 0), (1, 0.1), (2, 0), (2, 0.1)])
        self.assertGreater(days[2, 0]["step_time_seconds"], days[1, 0]["step_time_seconds"])
        self.assertLess(days[2, 0.1]["busiest_gpu_bytes"], days[2, 0]["busiest_gpu_bytes"])
        text = self.succeed("replay", DAY, "--gpus", 8, "--sweep-nodes", "1,2", "--policy", "every:20").stdout
        self.assertIn("2 nodes: ", text)


class LongDays(CommandTest):
    def test_a_day_of_any_length_takes_the_memory_of_a_window(self):
        windows = 100_000 if IS_FULL else 4_000
        rng = random.Random(1)
        one = struct.pack(f"<{26 * 64}H", *(rng.randrange(1000) for _ in range(26 * 64)))
        trace = harness.npz(self.folder / "long.npz", loads=harness.npy("<u2", f"({windows}, 26, 64)", one * windows),
                            layer_ids=harness.npy("<i4", "(26,)", struct.pack("<26i", *range(26))))
        begin = time.monotonic()
        result = run("replay", trace, "--gpus", 8, "--policy", "never", "--json")
        seconds = time.monotonic() - begin
        self.assertEqual(result.returncode, 0, result.stderr)
        print(f"{windows} windows in {seconds:.1f} s")
        if IS_FULL:
            self.assertLess(seconds, 60)


if __name__ == "__main__":
    unittest.main()
