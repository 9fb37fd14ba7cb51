"""Placements from format to format: what each GPU holds stays, what a format lacks is said."""

import json
import unittest

import engine_rules
from harness import DATA, DAY, NO_DATA, CommandTest, run

DEEPSEEK = DATA / "deepseek-v3"
ENGINES = ("sglang", "vllm", "vllm-pr49572", "trtllm", "ascend")
EXPERTS, GPUS, SPARE = 256, 32, 32
MOE_LAYERS = list(range(3, 61))

# What is said of each format for a placement of DeepSeek-V3 on 4 nodes, and what the way back needs to be told.
GPUS_LOST = "the number of GPUs; read it as one of 32 GPUs (--gpus)"
NODES_LOST = "the number of nodes; read it as one of 4 nodes (--nodes)"
NUMBERS_LOST = "the numbers of the MoE layers, its rows count from 0; read it with layer ids 3-60 (--layer-ids)"
DENSE_LOST = "which of the 61 rows are MoE layers; read it with layer ids 3-60 (--layer-ids)"
LOSSES = {
    "sglang": [GPUS_LOST, NODES_LOST, DENSE_LOST],
    "vllm": [GPUS_LOST, NODES_LOST, NUMBERS_LOST],
    "vllm-pr49572": [GPUS_LOST, NODES_LOST, NUMBERS_LOST],
    "trtllm": [GPUS_LOST, NODES_LOST],
    "ascend": [NODES_LOST, NUMBERS_LOST],
}
BACK = {
    "sglang": ["--gpus", GPUS, "--nodes", 4, "--layer-ids", "3-60"],
    "vllm": ["--gpus", GPUS, "--nodes", 4, "--layer-ids", "3-60"],
    "vllm-pr49572": ["--gpus", GPUS, "--nodes", 4, "--layer-ids", "3-60"],
    "trtllm": ["--gpus", GPUS, "--nodes", 4],
    "ascend": ["--nodes", 4, "--layer-ids", "3-60"],
}


def sets_of(placement):
    """{layer: [the set of experts of each GPU]} of our own JSON with equal slots."""
    width = len(placement["physical_to_logical_map"][0]) // placement["gpus"]
    return {layer: [set(row[gpu * width:(gpu + 1) * width]) for gpu in range(placement["gpus"])]
            for layer, row in zip(placement["layer_ids"], placement["physical_to_logical_map"])}


def checked(engine, text):
    """The sets of each GPU by absolute layer, once the engine's own rules have passed."""
    rules = {"sglang": (engine_rules.sglang, 61), "vllm": (engine_rules.vllm, 58), "vllm-pr49572": (engine_rules.vllm_pr49572, 58),
             "trtllm": (engine_rules.trtllm, MOE_LAYERS), "ascend": (engine_rules.ascend, 58)}
    check, layers = rules[engine]
    held = check(text, GPUS, EXPERTS, layers)
    first = 0 if engine in ("sglang", "trtllm") else MOE_LAYERS[0]
    sets = {layer + first: [set(experts) for experts in row] for layer, row in held.items()}
    return {layer: sets[layer] for layer in MOE_LAYERS}


def notes_of(result):
    lines = result.stderr.splitlines()
    assert all(line.startswith("note: ") for line in lines), result.stderr
    return [line.removeprefix("note: ") for line in lines]


@unittest.skipUnless(DEEPSEEK.exists(), NO_DATA)
class DeepSeek(CommandTest):
    def plan(self, trace, strategy):
        out = self.folder / f"{trace.stem}-{strategy}.json"
        self.succeed("partition", trace, "--gpus", GPUS, "--nodes", 4, "--redundant", SPARE, "--strategy", strategy, "--time", "1s", "-o", out)
        return out

    def check_round_trip(self, own, engine):
        written = self.folder / f"{engine}.map"
        notes = notes_of(self.succeed("convert", own, "-o", written, "--format", engine))
        for loss in LOSSES[engine]:
            self.assertIn(f"format {engine} does not hold {loss}", notes)
        guesses = [note for note in notes if "does not hold" not in note]
        self.assertEqual(len(notes) - len(guesses), len(LOSSES[engine]))
        self.assertEqual(len(guesses), engine == "sglang", guesses)
        self.assertEqual(checked(engine, written.read_text()), sets_of(json.loads(own.read_text())))
        back = self.folder / "back.json"
        result = self.succeed("convert", written, "-o", back, "--format", "evenkeel", *BACK[engine])
        self.assertEqual(result.stderr, "")
        self.assertEqual(back.read_bytes(), own.read_bytes())

    def test_every_engine_takes_every_map_and_gives_it_back(self):
        traces = sorted(DEEPSEEK.glob("*.json"))
        self.assertEqual(len(traces), 6)
        for trace in traces:
            for strategy in ("eplb", "evenkeel"):
                own = self.plan(trace, strategy)
                for engine in ENGINES:
                    if (strategy, engine) != ("eplb", "ascend"):
                        with self.subTest(trace=trace.name, strategy=strategy, engine=engine):
                            self.check_round_trip(own, engine)

    def test_ascend_refuses_an_expert_twice_on_a_device(self):
        for trace in sorted(DEEPSEEK.glob("*.json")):
            own = self.plan(trace, "eplb")
            has_double = any(len(held) < (EXPERTS + SPARE) // GPUS for row in sets_of(json.loads(own.read_text())).values() for held in row)
            self.assertTrue(has_double, "this map shows nothing")
            result = run("convert", own, "-o", self.folder / "no.json", "--format", "ascend")
            self.assertEqual(result.returncode, 3)
            self.assertIn("twice", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertFalse((self.folder / "no.json").exists())

    def test_chain_through_every_engine_ends_where_it_began(self):
        own = self.plan(DEEPSEEK / "prefill_in4096.json", "evenkeel")
        at, flags = own, []
        for engine in (*ENGINES, "evenkeel"):
            then = self.folder / f"{engine}.next"
            self.succeed("convert", at, "-o", then, "--format", engine, *flags)
            at, flags = then, BACK.get(engine)
        self.assertEqual(at.read_bytes(), own.read_bytes())

    def test_evaluate_scores_every_format_alike(self):
        trace = DEEPSEEK / "prefill_in4096.json"
        own = self.plan(trace, "evenkeel")
        placements = [own]
        for engine in ENGINES:
            placements.append(self.folder / engine)
            self.succeed("convert", own, "-o", placements[-1], "--format", engine)
        flags = [word for path in placements for word in ("--placement", path)]
        rows = self.json_of("evaluate", trace, "--gpus", GPUS, "--nodes", 4, *flags, "--json")["rows"]
        self.assertEqual(len(rows), 6)
        for row in rows[1:]:
            self.assertEqual(row["in_sample"]["churn"], 0)
            self.assertEqual(row["in_sample"]["imbalance_by_layer"], rows[0]["in_sample"]["imbalance_by_layer"])


class Convert(CommandTest):
    def own(self, name="own.json", **changes):
        """A small placement: 4 experts, 2 GPUs of 3 slots, layers 1 and 2."""
        document = {"schema": "evenkeel.placement/1", "layer_ids": [1, 2], "experts": 4, "gpus": 2, "nodes": 1, "slots": None,
                    "physical_to_logical_map": [[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3, 2]], "shares": None, **changes}
        path = self.folder / name
        path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
        return path

    def text(self, *args):
        return self.succeed("convert", *args, "-o", "-").stdout

    def test_partition_writes_what_convert_writes(self):
        common = ("partition", DAY, "--gpus", 8, "--strategy", "lpt", "--comm", "resident", "-o")
        self.succeed(*common, self.folder / "own.json")
        for engine in ENGINES:
            result = self.succeed(*common, self.folder / engine, "--format", engine)
            self.assertEqual((self.folder / engine).read_text(), self.text(self.folder / "own.json", "--format", engine))
            self.assertEqual(any("number of GPUs" in note for note in notes_of(result)), engine != "ascend")

    def test_sglang_gets_a_row_for_every_hidden_layer(self):
        own = self.own()
        rows = json.loads(self.text(own, "--format", "sglang", "--hidden-layers", 5))["physical_to_logical_map"]
        start = [0, 1, 2, 3, 0, 1]
        self.assertEqual(rows, [start, start, [3, 2, 1, 0, 3, 2], start, start])

    def test_rows_of_sglang_stay_as_many_on_the_way_to_sglang(self):
        wide = self.folder / "wide.json"
        self.succeed("convert", self.own(), "-o", wide, "--format", "sglang", "--hidden-layers", 5)
        self.assertEqual(self.text(wide, "--format", "sglang", "--gpus", 2, "--layer-ids", "1-2"), wide.read_text())

    def test_rows_as_at_the_start_are_kept_and_named(self):
        sglang = self.folder / "sglang.json"
        own = self.own()
        self.succeed("convert", own, "-o", sglang, "--format", "sglang")
        result = self.succeed("convert", sglang, "-o", "-", "--format", "evenkeel", "--gpus", 2)
        self.assertEqual(json.loads(result.stdout)["layer_ids"], [0, 1, 2])
        self.assertIn("note: rows 0-1 hold expert i % E in slot i", result.stderr)
        self.assertEqual(self.text(sglang, "--format", "evenkeel", "--gpus", 2, "--layer-ids", "1-2"), own.read_text())

    def test_map_that_is_the_start_throughout_is_all_moe(self):
        own = self.own(layer_ids=[0, 1], physical_to_logical_map=[[0, 1, 2, 3, 0, 1]] * 2)
        sglang = self.folder / "sglang.json"
        self.succeed("convert", own, "-o", sglang, "--format", "sglang")
        result = self.succeed("convert", sglang, "-o", "-", "--format", "evenkeel", "--gpus", 2)
        self.assertEqual(result.stdout, own.read_text())
        self.assertIn("rows 0-1 hold expert i % E", result.stderr)

    def test_one_list_of_vllm_is_the_map_of_every_layer(self):
        flat = self.folder / "flat.json"
        flat.write_text("[0, 1, 2, 3, 0, 1]")
        placement = json.loads(self.text(flat, "--format", "evenkeel", "--gpus", 2, "--layer-ids", "4,6-7"))
        self.assertEqual(placement["layer_ids"], [4, 6, 7])
        self.assertEqual(placement["physical_to_logical_map"], [[0, 1, 2, 3, 0, 1]] * 3)

    def test_shares_are_left_out_with_a_note(self):
        shares = [[0.25, 0.5, 1, 1, 0.75, 0.5], [0.5, 0.5, 1, 1, 0.5, 0.5]]
        for engine in ENGINES:
            result = self.succeed("convert", self.own(shares=shares), "-o", "-", "--format", engine)
            self.assertIn(f"format {engine} does not hold the shares of replicas", result.stderr)
        self.assertEqual(json.loads(self.text(self.own(shares=shares), "--format", "evenkeel"))["shares"], shares)

    def test_unequal_slots_are_refused(self):
        own = self.own(slots=[4, 2])
        for engine in ENGINES:
            result = run("convert", own, "-o", "-", "--format", engine)
            self.assertEqual((result.returncode, result.stdout), (3, ""))
            self.assertIn("equal slots", result.stderr)

    def test_experts_that_stay_keep_their_slot(self):
        running = self.own("running.json", physical_to_logical_map=[[2, 0, 1, 1, 0, 3], [0, 1, 2, 3, 2, 1]])
        planned = self.own("planned.json", physical_to_logical_map=[[0, 1, 3, 3, 2, 1], [2, 1, 3, 1, 0, 3]])
        result = self.succeed("convert", planned, "-o", "-", "--format", "ascend", "--from", running)
        held = [[device["device_expert"] for device in layer["device_list"]] for layer in json.loads(result.stdout)["layer_list"]]
        self.assertEqual(held, [[[3, 0, 1], [1, 2, 3]], [[3, 1, 2], [3, 0, 1]]])
        self.assertIn("note: the order of slots inside GPUs is changed", result.stderr)
        engine_rules.ascend(result.stdout, 2, 4, 2)

    def test_running_map_may_be_of_any_format(self):
        running = self.own("running.json", physical_to_logical_map=[[2, 0, 1, 1, 0, 3], [0, 1, 2, 3, 2, 1]])
        planned = self.own("planned.json", physical_to_logical_map=[[0, 1, 3, 3, 2, 1], [2, 1, 3, 1, 0, 3]])
        texts = set()
        for engine in ("evenkeel", *ENGINES):
            self.succeed("convert", running, "-o", self.folder / engine, "--format", engine)
            texts.add(self.text(planned, "--format", "ascend", "--from", self.folder / engine))
        self.assertEqual(len(texts), 1)

    def test_online_updates_of_tensorrt_llm_are_named_and_left_out(self):
        online = self.folder / "online.yaml"
        online.write_text("initial_global_assignments:\n  2: [0, 1, 2, 0]\n  1:\n  - 0\n  - 1\n  - 2\n  - 1\nnum_slots: 4\nlayer_updates_per_iter: 2\n")
        result = self.succeed("convert", online, "-o", "-", "--format", "evenkeel", "--gpus", 2)
        placement = json.loads(result.stdout)
        self.assertEqual((placement["layer_ids"], placement["physical_to_logical_map"]), ([1, 2], [[0, 1, 2, 1], [0, 1, 2, 0]]))
        self.assertIn("layer_updates_per_iter 2", result.stderr)


class Rules(unittest.TestCase):
    """The checker refuses what it is there for."""

    ASCEND = ('{"moe_layer_count":1,"layer_list":[{"layer_id":0,"device_count":2,"device_list":[{"device_id":0,"device_expert":[0,1]},'
              '{"device_id":1,"device_expert":[1,2]}]}]}\n')
    TRTLLM = "initial_global_assignments:\n  3: [0, 1]\nnum_slots: 2\nlayer_updates_per_iter: 0\n"
    VLLM = ('{"record_type":"eplb_initial_mapping","version":1,"num_redundant_experts":1,"num_slots":4,'
            '"initial_global_assignments":{"0":[0,1,2,0],"1":[1,2,0,1]}}\n')
    SGLANG = '{"physical_to_logical_map":[[0,1,2,0],[1,2,0,1]]}\n'
    LISTS = "[[0,1,2,0],[1,2,0,1]]\n"

    def check(self, rule, good, *args, faults):
        rule(good, 2, *args)
        for old, new in faults:
            bad = good.replace(old, new)
            self.assertNotEqual(bad, good)
            with self.assertRaises(AssertionError, msg=bad):
                rule(bad, 2, *args)

    def test_each_rule_refuses_each_fault(self):
        rows = [("[0,1,2,0]", "[0,1,2]"), ("[0,1,2,0]", "[0,1,1,0]"), ("[0,1,2,0]", "[0,1,2,3]"), ("[0,1,2,0]", "[0,1,2,0.0]"), ("\n", "")]
        self.check(engine_rules.sglang, self.SGLANG, 3, 2, faults=[*rows, ("{", '{"x":1,'), ("]]", "],[0,1,2,0]]")])
        self.check(engine_rules.vllm_pr49572, self.LISTS, 3, 2, faults=[*rows, ("]]", "],[0,1,2,0]]")])
        self.check(engine_rules.vllm, self.VLLM, 3, 2, faults=[
            *rows, ('"1":', '"2":'), ('"1":', '"0":'), ('slots":4', 'slots":5'), ('experts":1', 'experts":0'), ('version":1', 'version":2'),
            (',"1"', ',\n"1"'), ("initial_mapping", "mapping")])
        self.check(engine_rules.trtllm, self.TRTLLM, 2, [3], faults=[
            ("3:", "'3':"), ("3:", "4:"), ("slots: 2", "slots: 3"), ("iter: 0", "iter: 1"), ("iter: 0", "iter: 0\nx: 1"),
            ("iter: 0", "iter: 0\nnum_slots: 2"), ("[0, 1]", "[0, 0]"), ("[0, 1]\nnum_slots: 2", "[0, &a 1]\nnum_slots: *a")])
        self.check(engine_rules.ascend, self.ASCEND, 3, 1, faults=[
            ("[1,2]", "[2,2]"), ("[0,1]", "[0,1,2]"), ("[1,2]", "[1,3]"), ('device_id":1', 'device_id":0'), ('layer_id":0', 'layer_id":1'),
            ('device_count":2', 'device_count":3'), ('layer_count":1', 'layer_count":2'), ("{", '{"x":1,')])


if __name__ == "__main__":
    unittest.main()
