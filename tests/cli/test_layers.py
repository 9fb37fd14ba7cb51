"""Which rows are MoE layers: the model says, or the file, or layer ids; never the load."""

import json
import struct
import unittest

from harness import ROOT, CommandTest, npy, npz, run

CASES = ROOT / "tests/data/cases"
HOLE = CASES / "case-03/hole.json"
EXTRA = CASES / "case-03/extra.json"
MODEL = CASES / "case-03/model.yaml"
COUNTS = CASES / "case-12/counts.json"
MAP = CASES / "case-12/map.json"
MAP3 = CASES / "case-12/map3.json"
IN_ORDER = [0, 1, 2, 3]
STRATEGIES = ("evenkeel", "metis-glpk", "contiguous", "random", "lpt", "eplb", "metis", "metis-naive", "exflow",
              "moetuner-strong")


def keys_of(text):
    """Layer keys of a TensorRT-LLM file."""
    return [int(line.split(":")[0]) for line in text.splitlines() if line.startswith("  ")]


class LayersTest(CommandTest):
    def own(self, *args):
        return json.loads(self.succeed("partition", *args, "--gpus", 2, "--work", 1000, "-o", "-").stdout)

    def counts(self, name, rows):
        path = self.folder / name
        path.write_text(json.dumps({"logical_count": rows}))
        return path

    def refused(self, words, *args):
        result = run(*args)
        self.assertEqual(result.returncode, 2, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        return result


class UnloadedLayer(LayersTest):
    def test_is_placed_in_order_in_every_engines_file(self):
        common = ("partition", HOLE, "--model", MODEL, "--gpus", 2, "--strategy", "lpt", "-o", "-", "--format")
        trtllm = self.succeed(*common, "trtllm")
        self.assertEqual(keys_of(trtllm.stdout), [1, 2, 3])
        self.assertIn("note: MoE layers 2 have no load; their experts are placed in order", trtllm.stderr)
        vllm = json.loads(self.succeed(*common, "vllm-pr49572").stdout)
        self.assertEqual((len(vllm), vllm[1]), (3, IN_ORDER))
        sglang = json.loads(self.succeed(*common, "sglang").stdout)["physical_to_logical_map"]
        self.assertEqual((len(sglang), sglang[0], sglang[2]), (4, IN_ORDER, IN_ORDER))
        self.assertEqual(sglang[1::2], vllm[::2])
        self.assertEqual(json.loads(self.succeed(*common, "ascend").stdout)["moe_layer_count"], 3)

    def test_is_in_order_whatever_the_strategy(self):
        for strategy in STRATEGIES:
            placement = self.own(HOLE, "--model", MODEL, "--strategy", strategy)
            self.assertEqual(placement["layer_ids"], [1, 2, 3], strategy)
            self.assertEqual(placement["physical_to_logical_map"][1], IN_ORDER, strategy)

    def test_stays_where_it_runs(self):
        running = self.folder / "running.json"
        running.write_text("[[0,1,2,3],[3,2,1,0],[0,1,2,3]]")
        for strategy in ("evenkeel", "lpt", "eplb"):
            placement = self.own(HOLE, "--model", MODEL, "--from", running, "--strategy", strategy)
            self.assertEqual(placement["physical_to_logical_map"][1], [3, 2, 1, 0], strategy)

    def test_has_spare_slots_in_order_too(self):
        for split in ("even", "uneven"):
            placement = self.own(HOLE, "--model", MODEL, "--redundant", 2, "--split", split)
            self.assertEqual(placement["physical_to_logical_map"][1], [0, 1, 2, 3, 0, 1])

    def test_is_named_by_layer_ids_as_by_the_model(self):
        self.assertEqual(self.own(HOLE, "--layer-ids", "1-3"), self.own(HOLE, "--model", MODEL))
        self.refused(["--layer-ids is 1-2", "MoE layers 1-3"], "partition", HOLE, "--model", MODEL, "--layer-ids", "1-2", "--gpus", 2,
                     "-o", "-")
        self.refused(["no layer 4", "--layer-ids"], "partition", HOLE, "--layer-ids", "1-4", "--gpus", 2, "-o", "-")

    def test_without_a_model_is_taken_as_dense_and_named(self):
        result = self.succeed("partition", HOLE, "--gpus", 2, "--strategy", "lpt", "--format", "trtllm", "-o", "-")
        self.assertEqual(keys_of(result.stdout), [1, 3])
        self.assertIn("note: layers 0,2 have no load in any window and are taken as dense; --model or --layer-ids", result.stderr)

    def test_is_fixed_by_a_loaded_file_of_the_same_layers(self):
        full = self.counts("full.json", [[0] * 4, [1, 1, 1, 1], [2, 1, 1, 1], [1, 1, 1, 1]])
        for files in ((HOLE, full), (full, HOLE)):
            self.assertEqual(self.own(*files)["layer_ids"], [1, 2, 3])

    def test_is_an_moe_layer_where_what_is_skipped_has_load(self):
        steps = self.counts("steps.json", [[[0] * 4, [1, 2, 3, 4], [5, 1, 1, 1]], [[0] * 4, [4, 2, 1, 4], [0] * 4]])
        placement = self.own(steps, "--skip", 1)
        self.assertEqual((placement["layer_ids"], placement["physical_to_logical_map"][1]), ([1, 2], IN_ORDER))
        profile = self.folder / "p.npz"
        self.succeed("profile", steps, "--skip", 1, "-o", profile)
        self.assertEqual(self.own(profile), placement)

    def test_is_an_moe_layer_in_the_other_stage(self):
        ids = npy("|i1", "(2, 3, 1)", struct.pack("6b", -1, 0, 1, -1, 1, -1))
        trace = npz(self.folder / "t.npz", ids=ids, seq_start=npy("<i8", "(3,)", struct.pack("<3q", 0, 1, 2)),
                    stage=npy("|S7", "(2,)", b"prefilldecode\0"))
        for stage, row in (("decode", 1), ("prefill", 0)):
            placement = self.own(trace, "--stage", stage, "--experts", 4)
            self.assertEqual(placement["layer_ids"], [1, 2])
            if stage == "decode":
                self.assertEqual(placement["physical_to_logical_map"][1], IN_ORDER)

    def test_is_in_order_in_its_stage_of_pipeline_parallelism(self):
        cluster = self.folder / "c.yaml"
        cluster.write_text("name: first\ngpus: 2\nlayers: 0-1\n---\nname: last\ngpus: 2\nlayers: 2-3\n")
        out = self.folder / "p.json"
        result = self.succeed("partition", HOLE, "--model", MODEL, "--cluster", cluster, "--strategy", "lpt", "-o", out)
        last = json.loads((self.folder / "p.last.json").read_text())
        self.assertEqual((last["layer_ids"], last["physical_to_logical_map"][0]), ([2, 3], IN_ORDER))
        self.assertIn("MoE layers 2 have no load", result.stderr)

    def test_is_named_by_files_that_number_moe_layers_alone(self):
        line = '{"record_type":"eplb_load_stats","version":1,"step":7,"num_ranks":2,"expert_load":[[10,1,5,2],[0,0,0,0],[1,2,3,4]],' \
               '"p2l_map":[[0,1,2,3],[0,1,2,3],[0,1,2,3]]}\n'
        vllm = self.folder / "v.jsonl"
        vllm.write_text(line)
        self.assertEqual(self.own(vllm)["layer_ids"], [0, 1, 2])
        named = npz(self.folder / "n.npz", ids=npy("|i1", "(1, 3, 2)", struct.pack("6b", 0, 1, -1, -1, 2, 3)),
                    layer_ids=npy("<i8", "(3,)", struct.pack("<3q", 3, 4, 5)))
        self.assertEqual(self.own(named)["layer_ids"], [3, 4, 5])

    def test_has_no_figures_but_breaks_none(self):
        self.succeed("inspect", HOLE, "--model", MODEL, "--gpus", 2)
        scores = self.json_of("compare", HOLE, "--model", MODEL, "--gpus", 2, "--strategies", "lpt,contiguous", "--json")
        self.assertEqual(scores["rows"][0]["in_sample"]["imbalance_by_layer"][1], 0)


class Profiles(LayersTest):
    FULL = [[0] * 4, [1, 1, 1, 1], [2, 1, 1, 1], [1, 1, 1, 1]]

    def profile(self, name, *args):
        path = self.folder / name
        self.succeed("profile", *args, "-o", path)
        return path

    def test_of_two_stages_merge_where_one_has_a_layer_without_load(self):
        full = self.counts("full.json", self.FULL)
        hole = self.profile("a.npz", HOLE)
        other = self.profile("b.npz", full)
        for first, second in ((hole, other), (other, hole)):
            both = self.profile("ab.npz", first, second)
            self.assertEqual(self.own(both)["layer_ids"], [1, 2, 3])
            self.assertEqual(self.own(first, second)["layer_ids"], [1, 2, 3])

    def test_made_with_a_model_keeps_its_layers(self):
        known = self.profile("k.npz", HOLE, "--model", MODEL)
        placement = self.own(known)
        self.assertEqual((placement["layer_ids"], placement["physical_to_logical_map"][1]), ([1, 2, 3], IN_ORDER))
        unknown = self.profile("u.npz", HOLE)
        self.assertEqual(self.own(unknown)["layer_ids"], [1, 3])
        self.assertEqual(self.own(unknown, "--model", MODEL), placement)
        both = self.profile("ku.npz", known, unknown, "--model", MODEL)
        self.assertEqual(self.own(both)["layer_ids"], [1, 2, 3])
        self.refused(["has 3 (1 to 3)", "4 layers (0 to 3)", "--model"], "profile", known, unknown, "-o", self.folder / "x.npz")

    def test_name_what_they_take_as_dense_and_count_it_out(self):
        result = self.succeed("profile", HOLE, "-o", self.folder / "a.npz", "--json")
        self.assertEqual(json.loads(result.stdout)["layers"], 2)
        self.assertIn("layers 0,2 have no load in any window", result.stderr)

    def test_with_a_layer_that_is_no_row_are_refused(self):
        path = npz(self.folder / "p.npz", loads=npy("<u8", "(1, 2, 2)", struct.pack("<4Q", 1, 2, 3, 4)),
                   moe_layer_ids=npy("<i4", "(1,)", struct.pack("<i", 7)))
        self.refused(["moe_layer_ids holds 7"], "partition", path, "--gpus", 2, "-o", "-")


class DenseLayerWithLoad(LayersTest):
    def test_contradicts_the_model(self):
        for format_name in ("trtllm", "sglang", "evenkeel"):
            self.refused([str(EXTRA), "layer 0 has load", "model tiny says that it is dense", "--model"], "partition", EXTRA, "--model",
                         MODEL, "--gpus", 2, "--strategy", "lpt", "--format", format_name, "-o", "-")

    def test_contradicts_layer_ids_and_in_every_command(self):
        for command in (("partition", "-o", "-"), ("compare",), ("evaluate", "--placement", MAP)):
            self.refused(["layer 0 has load", "--layer-ids"], command[0], EXTRA, *command[1:], "--layer-ids", "1-3", "--gpus", 2)
        self.refused(["layer 0 has load"], "profile", EXTRA, "--model", MODEL, "-o", self.folder / "p.npz")
        self.refused(["layer 0 has load"], "inspect", EXTRA, "--model", MODEL)

    def test_contradicts_it_in_windows_that_are_skipped_and_in_token_paths(self):
        steps = self.counts("s.json", [[[1, 0, 0, 0]] + [[1, 1, 1, 1]] * 3, [[0] * 4] + [[1, 1, 1, 1]] * 3])
        self.refused(["layer 0 has load"], "partition", steps, "--skip", 1, "--model", MODEL, "--gpus", 2, "-o", "-")
        ids = npz(self.folder / "t.npz", ids=npy("|i1", "(1, 4, 2)", struct.pack("8b", 2, 3, 0, 1, 0, 1, 2, 3)))
        self.refused(["layer 0 has load"], "partition", ids, "--model", MODEL, "--gpus", 2, "-o", "-")


class OtherRows(LayersTest):
    def test_of_a_placement_are_refused_wherever_it_is_read(self):
        words = [str(MAP3), "3 rows", "2 layers"]
        self.refused(words, "evaluate", COUNTS, "--gpus", 2, "--placement", MAP3)
        self.refused(words, "partition", COUNTS, "--gpus", 2, "--from", MAP3, "-o", "-")
        self.refused(words, "compare", COUNTS, "--gpus", 2, "--from", MAP3)
        self.refused(words, "plan", COUNTS, "--gpus", 2, "--from", MAP, "--to", MAP3)
        self.refused(words, "plan", "--gpus", 2, "--from", MAP, "--to", MAP3)
        self.succeed("evaluate", COUNTS, "--gpus", 2, "--placement", MAP)

    def test_in_every_format(self):
        own = self.folder / "own.json"
        own.write_text(json.dumps({"schema": "evenkeel.placement/1", "layer_ids": [0, 1, 2], "experts": 4, "gpus": 2, "nodes": 1,
                                   "slots": None, "physical_to_logical_map": [IN_ORDER] * 3, "shares": None}))
        for engine in ("vllm", "vllm-pr49572", "ascend", "trtllm", "evenkeel", "sglang"):
            path = self.folder / f"map.{engine}"
            self.succeed("convert", own, "-o", path, "--format", engine)
            self.refused([str(path), "3", "2", "--model"], "evaluate", COUNTS, "--gpus", 2, "--placement", path)

    def test_are_not_read_into_a_trace_that_numbers_moe_layers_from_0(self):
        trace = npz(self.folder / "t.npz", ids=npy("|i1", "(1, 3, 2)", struct.pack("6b", 0, 1, 2, 3, 1, 2)))
        sglang = self.folder / "s.json"
        sglang.write_text(json.dumps({"physical_to_logical_map": [IN_ORDER, [3, 2, 1, 0], [0, 2, 1, 3], [1, 0, 3, 2]]}))
        evaluate = ("evaluate", trace, "--gpus", 2, "--placement", sglang, "--experts", 4)
        self.refused([str(sglang), "4 rows", "3 layers", "--model"], *evaluate)
        # The model makes the mapping certain: the trace's rows are its layers 1 to 3.
        scored = self.json_of("evaluate", trace, "--gpus", 2, "--placement", sglang, "--model", MODEL, "--json")
        self.assertEqual(len(scored["rows"][0]["in_sample"]["imbalance_by_layer"]), 3)
        self.succeed("evaluate", trace, "--gpus", 2, "--placement", sglang, "--experts", 4, "--layer-ids", "1-3")


class RowsThatLookDense(LayersTest):
    def test_are_kept_with_a_note(self):
        for engine, count in (("trtllm", 2), ("vllm-pr49572", 2), ("sglang", 2)):
            result = self.succeed("convert", MAP, "--gpus", 2, "--format", engine, "-o", "-")
            self.assertIn("note: rows 0 hold expert i % E in slot i", result.stderr)
            if engine == "trtllm":
                self.assertEqual(keys_of(result.stdout), [0, 1])
            elif engine == "sglang":
                self.assertEqual(json.loads(result.stdout), json.loads(MAP.read_text()))
            else:
                self.assertEqual(len(json.loads(result.stdout)), count)

    def test_are_what_layer_ids_and_the_model_say(self):
        model = self.folder / "m.yaml"
        model.write_text(MODEL.read_text().replace("hidden_layers: 4", "hidden_layers: 2"))
        for flags, keys in ((("--layer-ids", "0-1"), [0, 1]), (("--layer-ids", "1"), [1]), (("--model", model), [1])):
            result = self.succeed("convert", MAP, "--gpus", 2, *flags, "--format", "trtllm", "-o", "-")
            self.assertEqual(keys_of(result.stdout), keys)
            self.assertNotIn("expert i % E", result.stderr)

    def test_and_other_models_are_refused_or_named(self):
        self.refused(["2 rows", "4 layers", "--model"], "convert", MAP, "--gpus", 2, "--model", MODEL, "--format", "trtllm", "-o", "-")
        trtllm = self.folder / "t.yaml"
        trtllm.write_text("initial_global_assignments:\n  0: [0, 1, 2, 3]\n  2: [0, 1, 2, 3]\nnum_slots: 4\n"
                          "layer_updates_per_iter: 0\n")
        convert = ("convert", trtllm, "--gpus", 2, "--format", "sglang", "-o", "-", "--model", MODEL)
        self.refused(["MoE layers 1-3", "0,2"], *convert)
        trtllm.write_text(trtllm.read_text().replace("  0:", "  1:"))
        result = self.succeed(*convert)
        self.assertEqual(len(json.loads(result.stdout)["physical_to_logical_map"]), 4)
        self.assertIn("no row for the model's MoE layers 3", result.stderr)

    def test_and_rows_left_out_are_named(self):
        result = self.succeed("convert", MAP3, "--gpus", 2, "--layer-ids", "0-1", "--format", "trtllm", "-o", "-")
        self.assertIn("rows 2 are none of the MoE layers and are left out", result.stderr)


if __name__ == "__main__":
    unittest.main()
