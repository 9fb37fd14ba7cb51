"""`evenkeel plan`: a thousand random plans against the rules, and the command as documented."""

import concurrent.futures
import copy
import json
import random
import tempfile
import time
import unittest
from pathlib import Path

from harness import DAY, CommandTest, run
from plan_rules import check_plan

KEYS = ["schema", "epochs", "moves", "churn", "moved_bytes", "bytes_intra", "bytes_inter", "rounds", "seconds", "stall_seconds",
        "step_seconds_before", "step_seconds_after", "verdict", "reason"]


def doubled(row, slots_of_gpu):
    """Slots that hold an expert which their GPU holds in an earlier slot."""
    first, result = 0, []
    for slots in slots_of_gpu:
        result += [slot for slot in range(first, first + slots) if row[slot] in row[first:slot]]
        first += slots
    return result


def random_row(rng, experts, slots_of_gpu, may_double):
    """Every expert at least once, no expert twice on a GPU unless `may_double`."""
    while True:
        row = list(range(experts)) + [rng.randrange(experts) for _ in range(sum(slots_of_gpu) - experts)]
        rng.shuffle(row)
        for _ in range(0 if may_double else 100):
            for slot in doubled(row, slots_of_gpu):
                other = rng.randrange(len(row))
                row[slot], row[other] = row[other], row[slot]
        if may_double or not doubled(row, slots_of_gpu):
            return row


def placement(rows, experts, slots_of_gpu, nodes=1, layer_ids=None):
    return {"schema": "evenkeel.placement/1", "layer_ids": layer_ids or list(range(len(rows))), "experts": experts,
            "gpus": len(slots_of_gpu), "nodes": nodes, "slots": slots_of_gpu, "physical_to_logical_map": rows, "shares": None}


def few_swaps(rng, rows, slots_of_gpu):
    result = copy.deepcopy(rows)
    for row in result:
        for _ in range(rng.randrange(4)):
            one, other = rng.randrange(len(row)), rng.randrange(len(row))
            before = len(doubled(row, slots_of_gpu))
            row[one], row[other] = row[other], row[one]
            if len(doubled(row, slots_of_gpu)) > before:
                row[one], row[other] = row[other], row[one]
    return result


def random_case(seed):
    """Two placements and the spare buffers between them. A third are without replicas, a third a few swaps apart; some have unequal
    slots, some an expert twice on a GPU at the start."""
    rng = random.Random(seed)
    nodes = rng.choice([1, 1, 2, 3])
    gpus = nodes * rng.randint(1 if nodes > 1 else 2, 4)
    slots = [rng.randint(1, 4)] * gpus
    if rng.random() < 0.2:
        slots = [rng.randint(1, 4) for _ in range(gpus)]
    experts = sum(slots) if rng.random() < 1 / 3 else rng.randint(max(max(slots), sum(slots) // 2), sum(slots))
    layers = rng.randint(1, 6)
    starts_doubled = rng.random() < 0.1
    rows = [random_row(rng, experts, slots, starts_doubled) for _ in range(layers)]
    if rng.random() < 1 / 3:
        after = few_swaps(rng, rows, slots)
    else:
        after = [random_row(rng, experts, slots, False) for _ in range(layers)]
    layer_ids = sorted(rng.sample(range(3 * layers), layers))
    return (placement(rows, experts, slots, nodes, layer_ids), placement(after, experts, slots, nodes, layer_ids), rng.randint(1, 3))


def plan_case(folder, start, end, spare):
    """The plan's JSON and the placements it wrote."""
    for name, content in (("from.json", start), ("to.json", end)):
        (folder / name).write_text(json.dumps(content))
    result = run("plan", "--from", folder / "from.json", "--to", folder / "to.json", "--gpus", start["gpus"], "--nodes", start["nodes"],
                 "--spare", spare, "--out-dir", folder / "out", "--json")
    assert result.returncode == 0, result.stderr
    chain = [json.loads(path.read_text()) for path in sorted((folder / "out").iterdir())]
    return json.loads(result.stdout), chain


def check_case(seed):
    """Epochs of one random plan, and the least it could have."""
    start, end, spare = random_case(seed)
    with tempfile.TemporaryDirectory(prefix="evenkeel-plan-") as folder:
        plan, chain = plan_case(Path(folder), start, end, spare)
    try:
        return len(plan["epochs"]), check_plan(plan, chain, start, end, spare)
    except AssertionError as broken:
        raise AssertionError(f"seed {seed}: {broken}") from None


class RandomPlans(unittest.TestCase):
    def test_a_thousand_obey_every_rule_and_are_hardly_longer_than_any_must_be(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            lengths = list(pool.map(check_case, range(1000)))
        self.assertGreater(sum(epochs > 1 for epochs, _ in lengths), 600)
        self.assertLess(sum(epochs for epochs, _ in lengths), 1.05 * sum(least for _, least in lengths))


class RealSize(CommandTest):
    def test_58_layers_of_288_slots_on_32_gpus_plan_in_seconds(self):
        """DeepSeek-V3 with 32 redundant experts, from one random placement to another: nearly every slot changes."""
        rng = random.Random(1)
        slots = [9] * 32
        start, end = (placement([random_row(rng, 256, slots, False) for _ in range(58)], 256, slots, 4) for _ in range(2))
        for name, content in (("from.json", start), ("to.json", end)):
            (self.folder / name).write_text(json.dumps(content))
        began = time.monotonic()
        plan = self.json_of("plan", "--from", self.folder / "from.json", "--to", self.folder / "to.json", "--gpus", 32, "--nodes", 4,
                            "--json")
        self.assertLess(time.monotonic() - began, 5)  # 0.3 s on an idle machine
        self.assertGreater(plan["churn"], 0.9)
        # No GPU has more than 58 x 9 slots to change, two at a time.
        self.assertLessEqual(len(plan["epochs"]), 261)


class Rules(CommandTest):
    """The checker itself: it takes a good plan, and each fault put into it is found."""

    def setUp(self):
        super().setUp()
        rng = random.Random(5)
        slots = [4] * 8
        self.start, self.end = (placement([random_row(rng, 24, slots, False) for _ in range(3)], 24, slots, 2) for _ in range(2))
        self.plan, self.chain = plan_case(self.folder, self.start, self.end, 2)

    def refuse(self, words, spare=2):
        with self.assertRaisesRegex(AssertionError, words):
            check_plan(self.plan, self.chain, self.start, self.end, spare)

    def test_a_good_plan_passes(self):
        self.assertGreater(check_plan(self.plan, self.chain, self.start, self.end, 2), 1)

    def test_too_few_buffers(self):
        self.refuse("into 1 buffers", 1)

    def test_a_source_without_the_expert(self):
        first = self.plan["epochs"][0]["copies"][0]
        first["from"] = first["to"]
        self.refuse("should come from")

    def test_two_experts_in_one_round(self):
        for move in self.plan["epochs"][0]["copies"]:
            move["round"] = 0
        self.refuse("in a round")

    def test_a_round_too_many(self):
        self.plan["epochs"][0]["rounds"] += 1
        self.refuse("the busiest GPU needs")

    def test_a_copy_left_out(self):
        self.plan["epochs"][-1]["copies"].pop()
        self.refuse("needed are")

    def test_an_expert_lost_on_the_way(self):
        row = self.chain[0]["physical_to_logical_map"][0]
        self.chain[0]["physical_to_logical_map"][0] = [expert if expert != 3 else 4 for expert in row]
        self.refuse("lacks .3.")

    def test_slots_that_swap_inside_a_gpu(self):
        row = self.chain[0]["physical_to_logical_map"][0]
        row[0], row[1] = row[1], row[0]
        self.refuse("slots change")

    def test_another_end(self):
        self.end = self.start
        self.refuse("ends with")

    def test_wrong_time(self):
        self.plan["epochs"][0]["seconds"] *= 2
        self.refuse("rounds take")


class Plan(CommandTest):
    def write(self, name, content):
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def pair(self):
        """A swap of two GPUs of one node, and one between nodes."""
        start = placement([[0, 1, 2, 3, 4, 5, 6, 7]], 8, [2] * 4, 2, [3])
        end = placement([[2, 1, 0, 6, 4, 5, 3, 7]], 8, [2] * 4, 2, [3])
        return self.write("from.json", start), self.write("to.json", end)

    def test_json_is_as_documented(self):
        start, end = self.pair()
        plan = self.json_of("plan", "--from", start, "--to", end, "--gpus", 4, "--nodes", 2, "--json")
        self.assertEqual(list(plan), KEYS)
        self.assertEqual(plan["schema"], "evenkeel.plan/1")
        self.assertEqual((plan["moves"], plan["churn"], plan["rounds"], len(plan["epochs"])), (4, 0.5, 2, 1))
        self.assertEqual((plan["bytes_intra"], plan["bytes_inter"], plan["stall_seconds"]), (88e6, 88e6, 0))
        self.assertEqual(plan["epochs"][0]["copies"][0], {"layer": 3, "expert": 2, "from": 1, "to": 0, "round": 1})
        self.assertAlmostEqual(plan["seconds"], 44e6 / 50e9 + 10e-6 + 44e6 / 450e9 + 3e-6, places=12)
        self.assertIsNone(plan["verdict"])
        self.assertIn("give a trace", plan["reason"])

    def test_fewer_buffers_make_more_epochs(self):
        start, end = self.pair()
        plan = self.json_of("plan", "--from", start, "--to", end, "--gpus", 4, "--nodes", 2, "--spare", 1, "--json")
        self.assertEqual([len(epoch["copies"]) for epoch in plan["epochs"]], [2, 2])

    def test_no_buffer_is_infeasible_and_the_number_it_names_works(self):
        start, end = self.pair()
        arguments = ["plan", "--from", start, "--to", end, "--gpus", 4, "--nodes", 2, "--spare"]
        result = run(*arguments, 0)
        self.assertEqual((result.returncode, result.stdout), (3, ""))
        self.assertIn("4 experts move", result.stderr)
        self.assertIn("give 1 or more", result.stderr)
        self.succeed(*arguments, 1)
        same = self.json_of("plan", "--from", start, "--to", start, "--gpus", 4, "--nodes", 2, "--spare", 0, "--json")
        self.assertEqual((same["epochs"], same["moves"]), ([], 0))

    def test_an_expert_twice_on_a_gpu_is_copied_once(self):
        start = placement([[0, 1, 2, 0]], 3, [2, 2])
        end = placement([[0, 1, 2, 2]], 3, [2, 2])
        plan, chain = plan_case(self.folder, start, end, 1)
        check_plan(plan, chain, start, end, 1)
        self.assertEqual((plan["moves"], len(plan["epochs"])), (0, 1))

    def test_table_has_a_row_an_epoch_and_the_verdict(self):
        start, end = self.pair()
        lines = self.succeed("plan", "--from", start, "--to", end, "--gpus", 4, "--nodes", 2, "--spare", 1).stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines[2:5]], ["1", "2", "all"])
        self.assertEqual(lines[4].split(), ["all", "4", "2", "88.0", "88.0", "0.991"])
        self.assertTrue(lines[-1].startswith("no verdict: "), lines[-1])

    def test_a_cluster_file_sets_the_links(self):
        cluster = self.folder / "c.yaml"
        cluster.write_text("gpus: 4\nnodes: 2\nintra_node:\n  bandwidth_gb_per_s: 100\n  latency_us: 0\n"
                           "inter_node:\n  bandwidth_gb_per_s: 10\n  latency_us: 0\n")
        start, end = self.pair()
        plan = self.json_of("plan", "--from", start, "--to", end, "--cluster", cluster, "--expert-bytes", 1e9, "--json")
        self.assertAlmostEqual(plan["seconds"], 0.1 + 0.01, places=12)

    def test_sglang_maps_take_their_layers_from_our_own_file(self):
        start, end = self.pair()
        rows = [list(range(8))] * 3 + json.loads(end.read_text())["physical_to_logical_map"] + [list(range(8))]
        other = self.write("sglang.json", {"physical_to_logical_map": rows})
        mixed = self.json_of("plan", "--from", start, "--to", other, "--gpus", 4, "--nodes", 2, "--json")
        self.assertEqual(mixed, self.json_of("plan", "--from", start, "--to", end, "--gpus", 4, "--nodes", 2, "--json"))
        back = self.json_of("plan", "--from", other, "--to", start, "--gpus", 4, "--nodes", 2, "--json")
        both = self.json_of("plan", "--from", other, "--to", other, "--gpus", 4, "--nodes", 2, "--json")
        self.assertEqual((back["moves"], both["moves"]), (4, 0))

    def test_placements_that_do_not_belong_together_are_refused_by_name(self):
        start, end = self.pair()
        unequal = self.write("unequal.json", placement([[0, 1, 2, 3, 4, 5, 6, 7]], 8, [3, 1, 2, 2], 2, [3]))
        other = self.write("other.json", placement([[0, 1, 2, 3, 4, 5, 6, 7]], 8, [2] * 4, 2, [4]))
        noise = self.write("noise.json", {"a": 1})
        for to, gpus, words in ((unequal, 4, "GPU 0 has 2 slots a layer before and 3 after"), (other, 4, "layers"),
                                (end, 8, "the cluster has 8 on 2"), (noise, 4, "noise.json: it is no placement")):
            result = run("plan", "--from", start, "--to", to, "--gpus", gpus, "--nodes", 2)
            self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
            self.assertIn(words, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)


class Verdict(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory(prefix="evenkeel-")
        cls.addClassCleanup(cls.shared.cleanup)
        cls.maps = {name: Path(cls.shared.name) / f"{name}.json" for name in ("contiguous", "lpt")}
        for name, path in cls.maps.items():
            assert run("partition", DAY, "--gpus", 8, "--strategy", name, "-o", path).returncode == 0

    def plan(self, start, end, *options):
        return self.json_of("plan", DAY, "--from", self.maps[start], "--to", self.maps[end], "--gpus", 8, "--json", *options)

    def test_what_saves_time_is_adopted_and_the_way_back_is_not(self):
        there, back = self.plan("contiguous", "lpt"), self.plan("lpt", "contiguous")
        self.assertEqual((there["verdict"], back["verdict"]), ("adopt", "keep"))
        self.assertLess(there["step_seconds_after"], there["step_seconds_before"])
        self.assertIn("nothing is saved", back["reason"])
        measured = self.json_of("evaluate", DAY, "--gpus", 8, "--placement", self.maps["contiguous"], "--placement", self.maps["lpt"],
                                "--json")["rows"]
        self.assertEqual([there["step_seconds_before"], there["step_seconds_after"]],
                         [row["in_sample"]["step_time_seconds"] for row in measured])
        self.assertEqual((there["churn"], there["moved_bytes"]), (measured[1]["in_sample"]["churn"], measured[1]["in_sample"]["moved_bytes"]))

    def test_the_rule_is_where_it_is_said_to_be(self):
        free = self.plan("contiguous", "lpt", "--stall", 1)
        self.assertEqual(free["stall_seconds"], free["seconds"])
        saved = free["step_seconds_before"] - free["step_seconds_after"]
        needed = free["stall_seconds"] / (saved * (1 - 0.25))
        for steps, verdict in ((0.99 * needed, "keep"), (1.01 * needed, "adopt")):
            self.assertEqual(self.plan("contiguous", "lpt", "--stall", 1, "--guard", 0.25, "--steps", steps)["verdict"], verdict)

    def test_the_same_placement_is_kept(self):
        same = self.plan("lpt", "lpt")
        self.assertEqual((same["verdict"], same["epochs"]), ("keep", []))
        self.assertIn("nothing moves", same["reason"])

    def test_epochs_written_are_placements_that_evaluate_reads(self):
        out = self.folder / "chain"
        plan = self.plan("contiguous", "lpt", "--out-dir", out)
        names = sorted(path.name for path in out.iterdir())
        self.assertEqual(names, [f"epoch-{i:03}.json" for i in range(1, len(plan["epochs"]) + 1)])
        last = self.json_of("evaluate", DAY, "--gpus", 8, "--placement", self.maps["lpt"], "--placement", out / names[-1], "--json")["rows"]
        self.assertEqual(last[1]["in_sample"]["churn"], 0)
        self.assertAlmostEqual(last[1]["in_sample"]["step_time_seconds"], plan["step_seconds_after"], places=12)


if __name__ == "__main__":
    unittest.main()
