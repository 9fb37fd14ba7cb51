"""Recordings and placements of the kinds that people have: tests/data/cases, each with its right value in a README."""

import gzip
import io
import json
import pickle
import struct
import sys
import types
import unittest
import zipfile

from harness import ROOT, RefusalTest, npy, npz, run

CASES = ROOT / "tests/data/cases"
COUNTS = [[6, 0, 0, 3], [0, 9, 1, 1]]


class Tensor:
    """What torch.save pickles of one, without PyTorch."""

    def __init__(self, storage, values, size):
        self.storage, self.values, self.size = storage, values, size

    def __reduce__(self):
        stride = [1]
        for extent in self.size[:0:-1]:
            stride.insert(0, stride[0] * extent)
        return (sys.modules["torch._utils"]._rebuild_tensor_v2, (Storage(self), 0, tuple(self.size), tuple(stride), False, {}))


class Storage:
    def __init__(self, tensor):
        self.tensor = tensor


def stand_in_for_torch():
    """Modules whose names a pickle may hold; nothing of them is run."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild():
        raise NotImplementedError

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = "torch._utils", "_rebuild_tensor_v2", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    for name in ("LongStorage", "IntStorage", "FloatStorage", "HalfStorage", "BFloat16Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    return {"torch": torch, "torch._utils": utils}


def torch_save(path, content):
    """Writes what torch.save does. Values of the 16-bit kinds are given as their bits."""
    codes = {"LongStorage": "q", "IntStorage": "i", "FloatStorage": "f", "HalfStorage": "H", "BFloat16Storage": "H"}
    modules = stand_in_for_torch()
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    storages = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            tensor = value.tensor
            storages.append(struct.pack(f"<{len(tensor.values)}{codes[tensor.storage]}", *tensor.values))
            return ("storage", getattr(modules["torch"], tensor.storage), str(len(storages) - 1), "cpu", len(tensor.values))

    text = io.BytesIO()
    try:
        Pickler(text, protocol=2).dump(content)
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", text.getvalue())
        for number, storage in enumerate(storages):
            archive.writestr(f"archive/data/{number}", storage)
        archive.writestr("archive/version", "3\n")
    return path


def ints(rows, storage="LongStorage"):
    return Tensor(storage, [value for row in rows for value in row], (len(rows), len(rows[0])))


def bf16(value):
    return struct.unpack("<I", struct.pack("<f", value))[0] >> 16


class Kinds(RefusalTest):
    def shape(self, *args):
        report = self.json_of("inspect", *args, "--json")
        return report["shape"], report["layers"] if "layers" in report else report

    def same_loads(self, path, *args):
        """Its profile has the loads of COUNTS."""
        loads = self.loads(path, *args)
        self.assertEqual(loads, [COUNTS])

    def loads(self, *args):
        """[windows][layers][experts] as a profile has them."""
        out = self.folder / "loads.npz"
        self.succeed("profile", *args, "--window-sequences", 1, "-o", out)
        with zipfile.ZipFile(out) as archive:
            text = archive.read("loads.npy")
        out.unlink()
        length = struct.unpack("<H", text[8:10])[0]
        shape = eval(text[10:10 + length])["shape"]
        flat = struct.unpack(f"<{shape[0] * shape[1] * shape[2]}Q", text[10 + length:])
        rows = [list(flat[i:i + shape[2]]) for i in range(0, len(flat), shape[2])]
        return [rows[i:i + shape[1]] for i in range(0, len(rows), shape[1])]


class NotRecorded(Kinds):
    CASE = CASES / "case-01"

    def test_a_dense_row_of_zeros_is_left_out_by_name(self):
        result = self.succeed("inspect", self.CASE / "dense_zero.npy", "--json")
        self.assertEqual(json.loads(result.stdout)["shape"]["layer_ids"], [1, 2, 3])
        self.assertIn("row 0 was never recorded", result.stderr)

    def test_tokens_of_zeros_are_not_counted(self):
        result = self.succeed("inspect", self.CASE / "tokens_zero.npy", "--model", self.CASE / "model.yaml", "--json")
        self.assertIn("3 of 12 tokens were not recorded", result.stderr)
        shape = json.loads(result.stdout)["shape"]
        self.assertEqual((shape["tokens"], shape["layer_ids"]), (9, [1, 2, 3]))
        self.assertEqual(sum(map(sum, self.loads(self.CASE / "tokens_zero.npy", "--model", self.CASE / "model.yaml")[0])), 54)

    def test_all_zero_is_nothing_recorded(self):
        for flags in ((), ("--model", self.CASE / "model.yaml")):
            self.refuse(2, ["all_zero.npy", "nothing was recorded"], "inspect", self.CASE / "all_zero.npy", *flags)
        self.refuse(2, ["nothing was recorded"], "inspect", self.text("t.npy", npy("|u1", "(3, 2, 1)", bytes(6))))

    def test_a_native_trace_is_read_alike(self):
        ids = [[0, 0], [6, 2], [0, 0], [4, 7], [0, 0], [0, 0], [1, 5], [1, 5]]
        path = npz(self.folder / "t.npz", ids=npy("|u1", "(4, 2, 2)", bytes(sum(ids, []))))
        result = self.succeed("inspect", path, "--json")
        self.assertIn("1 of 4 tokens were not recorded", result.stderr)
        self.assertEqual(json.loads(result.stdout)["shape"]["tokens"], 3)

    def test_an_id_that_repeats_without_filling_the_row_stays_an_error(self):
        self.refuse(2, ["ids[0, 0] names expert 1 twice", "-1", "--model"], "inspect",
                    self.text("t.npy", npy("|u1", "(1, 1, 3)", bytes([1, 1, 2]))))

    def test_top_1_cannot_tell_without_the_model(self):
        path = self.text("t.npy", npy("|u1", "(4, 2, 1)", bytes([0, 1, 0, 2, 0, 3, 0, 1])))
        self.refuse(2, ["row 0 names expert 0 for all 4 tokens", "--model"], "inspect", path)
        model = self.text("m.yaml", (self.CASE / "model.yaml").read_text().replace("top_k: 2", "top_k: 1").replace("hidden_layers: 4", "hidden_layers: 2"))
        self.assertEqual(self.json_of("inspect", path, "--model", model, "--json")["shape"]["layer_ids"], [1])

    def test_sglang_tokens_of_zeros(self):
        row = lambda *ids: list(ids) + [-1] * (8 - len(ids))
        ids = [[[0] * 8] * 3, [row(1, 2), row(2, 3), [0] * 8]]
        flat = [value for layer in ids for token in layer for value in token]
        record = {"forward_pass_id": 1, "rank": 0, "gatherer_key": "primary", "topk_ids_of_layer": Tensor("IntStorage", flat, (2, 3, 8))}
        table = ints([[0, 1, 2, 3]] * 2)
        path = torch_save(self.folder / "t.pt", {"records": [record], "last_physical_to_logical_map": table})
        result = self.succeed("inspect", path, "--json")
        shape = json.loads(result.stdout)["shape"]
        self.assertEqual((shape["layer_ids"], shape["tokens"], shape["top_k"]), ([1], 2, 2))
        self.assertIn("row 0 was never recorded", result.stderr)
        record["topk_ids_of_layer"].values[8 * 3 + 1] = 1
        self.refuse(2, ["topk_ids_of_layer[1, 0]", "expert 1 twice"], "inspect", torch_save(path, {
            "records": [{**record, "topk_ids_of_layer": Tensor("IntStorage", flat[:24] + row(1, 1, 2) + flat[32:], (2, 3, 8))}],
            "last_physical_to_logical_map": table}))


class Counts(Kinds):
    CASE = CASES / "case-04"

    def test_every_form_of_one_set_of_counts(self):
        for name in ("two_dim.json", "two_dim.pt", "rank_record.pt", "heat_tensor.pt", "heat.npy", "bf16.pt"):
            with self.subTest(name):
                self.same_loads(self.CASE / name)

    def test_counts_in_16_bits_are_told_to_be_inexact(self):
        self.assertIn("bfloat16, which holds whole numbers up to 256", self.succeed("inspect", self.CASE / "bf16.pt").stderr)
        flat = sum(COUNTS, [])
        half = Tensor("HalfStorage", [struct.unpack("<H", struct.pack("<e", value))[0] for value in flat], (2, 4))
        path = torch_save(self.folder / "half.pt", {"logical_count": half})
        self.same_loads(path)
        self.assertIn("float16", self.succeed("inspect", path).stderr)
        self.same_loads(self.text("half.npy", npy("<f2", "(2, 4)", struct.pack("<8e", *flat))))
        bare = Tensor("BFloat16Storage", [bf16(value) for value in [1000.0] + flat[1:]], (2, 4))
        self.assertEqual(self.loads(torch_save(self.folder / "bare.pt", bare))[0][0][0], 1000)

    def test_counts_in_floats(self):
        flat = sum(COUNTS, [])
        for descr, code in (("<f4", "f"), ("<f8", "d"), ("<i4", "i"), ("|u1", "B")):
            self.same_loads(self.text("heat.npy", npy(descr, "(2, 4)", struct.pack(f"<8{code}", *flat))))
        self.refuse(2, ["counts[1, 0] is 0.5", "whole number"], "inspect",
                    self.text("heat.npy", npy("<f4", "(2, 4)", struct.pack("<8f", 6, 0, 0, 3, 0.5, 9, 1, 1))))
        self.refuse(2, ["counts[0, 1] is nan"], "inspect", self.text("heat.npy", npy("<f8", "(1, 2)", struct.pack("<2d", 1, float("nan")))))
        self.refuse(2, ["all its counts are zero"], "inspect", self.text("heat.npy", npy("|u1", "(1, 2)", bytes(2))))

    def test_bad_counts_are_named_by_the_tensors_own_indices(self):
        steps = Tensor("LongStorage", [1, 2, 3, 4, 5, -6], (3, 1, 2))
        self.refuse(2, ["logical_count[2, 0, 1] is -6"], "inspect", torch_save(self.folder / "c.pt", {"logical_count": steps}))
        self.refuse(2, ["logical_count[0, 1] is -6"], "inspect", torch_save(self.folder / "c.pt", {"logical_count": ints([[1, -6]])}))
        self.refuse(2, ["its tensor[0, 1] is -6"], "inspect", torch_save(self.folder / "c.pt", ints([[1, -6]])))
        self.refuse(2, ["a tensor of size (3, 1, 2)", "[layers, experts]"], "inspect", torch_save(self.folder / "c.pt", steps))

    def test_lines_of_a_layer_and_its_counts(self):
        lines = [{"layer": 3, "counts": COUNTS[0]}, {"layer": 4, "counts": COUNTS[1], "note": "ignored"}]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        path = self.text("c.jsonl", text + "\n" + text)
        self.assertEqual(self.loads(path), [COUNTS, COUNTS])
        self.assertEqual(self.json_of("inspect", path, "--json")["shape"]["layer_ids"], [3, 4])
        for line, words in (('{"layer": 3, "counts": [1]}', ["line 3: counts is a list of 1", "4 counts"]),
                            ('{"layer": 3, "counts": [1, 2, 3, 0.5]}', ["line 3: counts[3] is 0.5"]),
                            ('{"layer": 3, "counts": [1, 2, 3, NaN]}', ["line 3", "NaN"]),
                            ('{"layer": -1, "counts": [1, 2, 3, 4]}', ["line 3: layer is -1"]), ('{"counts": [1]}', ["line 3", "layer"]),
                            ('{"layer": 5, "counts": [1, 2, 3, 4]}\n{"layer": 3, "counts": [1, 2, 3, 4]}\n' + text, ["layers", "line 5"])):
            self.refuse(2, words, "inspect", self.text("c.jsonl", text + line + "\n"))

    def test_a_folder_of_dumps_is_one_trace(self):
        dumps = self.folder / "dumps"
        dumps.mkdir()
        for second in (2, 1):
            torch_save(dumps / f"expert_distribution_recorder_{second}.pt", {"rank": 0, "logical_count": ints([[second, 1]])})
        self.assertEqual(self.loads(dumps), [[[1, 1]], [[2, 1]]])
        (dumps / "server.log").write_text("up")
        self.assertIn("1 of its entries are left out", self.succeed("inspect", dumps).stderr)
        (dumps / "cut.pt").write_bytes(b"PK\x03\x04 cut")
        self.refuse(2, ["dumps/cut.pt"], "inspect", dumps)
        (self.folder / "none").mkdir()
        self.refuse(2, ["none: no file in this folder"], "inspect", self.folder / "none")

    def test_pipeline_stages_count_their_own_layers(self):
        def dump(name, *passes):
            records = [{"forward_pass_id": number, "rank": 0, "gatherer_key": "primary", "global_physical_count": ints(rows, "IntStorage")}
                       for number, rows in enumerate(passes)]
            return torch_save(self.folder / name, {"records": records, "last_physical_to_logical_map": ints([[0, 1], [1, 0]])})

        first = dump("a.pt", [[1, 2], [0, 0]], [[3, 4], [0, 0]])
        second = dump("b.pt", [[0, 0], [5, 6]], [[0, 0], [7, 8]])
        self.assertEqual(self.loads(first, second), [[[1, 2], [6, 5]], [[3, 4], [8, 7]]])
        self.refuse(2, ["a.pt", "c.pt", "pass 0 of rank 0"], "inspect", first, dump("c.pt", [[0, 1], [5, 6]]))


class Placements(Kinds):
    def convert(self, path, *flags, to="trtllm"):
        return self.succeed("convert", path, *flags, "--format", to, "-o", "-")

    def test_sglangs_map_as_torch_saves_it(self):
        path = CASES / "case-06/init.pt"
        self.assertEqual(self.convert(path, "--gpus", 2).stdout.splitlines()[1:3], ["  0: [0, 2, 1, 3]", "  1: [3, 1, 0, 2]"])
        self.refuse(2, ["init.pt", "it is a placement, not a recording", "convert"], "partition", path, "--gpus", 2, "-o", "-")
        trace = self.text("t.json", json.dumps({"logical_count": COUNTS}))
        self.succeed("evaluate", trace, "--gpus", 2, "--placement", path)
        self.succeed("partition", trace, "--gpus", 2, "--from", path, "--max-moves", 0.5, "-o", "-")
        self.succeed("plan", "--from", path, "--to", path, "--gpus", 2)

    def test_a_torch_file_that_is_no_map(self):
        for content, words in (({"logical_count": ints([[1, 2]])}, "evenkeel partition"), (ints([[1, 2]]), "evenkeel partition"),
                               ({"other": 1}, "physical_to_logical_map is missing"), ([1], "dictionary"),
                               ({"physical_to_logical_map": ints([[0, -1]])}, "physical_to_logical_map[0][1] is -1"),
                               ({"physical_to_logical_map": Tensor("FloatStorage", [0, 0.5], (1, 2))}, "physical_to_logical_map[0, 1] is 0.5")):
            self.refuse(2, ["p.pt", words], "convert", torch_save(self.folder / "p.pt", content), "--gpus", 1, "--format", "vllm", "-o", "-")

    def test_a_remedy_is_not_refused_in_turn(self):
        path = torch_save(self.folder / "p.pt", ints([[1, 2], [2, 1]]))
        self.assertIn("evenkeel partition", run("convert", path, "--gpus", "1", "--format", "vllm", "-o", "-").stderr)
        self.succeed("partition", path, "--gpus", 2, "-o", "-")

    def test_tensorrt_llm_without_its_optional_key(self):
        rows = json.loads(self.convert(CASES / "case-07/no_updates.yaml", "--gpus", 2, to="sglang").stdout)["physical_to_logical_map"]
        self.assertEqual(rows[1:3], [[1, 2, 3, 0, 1, 2], [2, 3, 0, 1, 2, 3]])
        for text in ((CASES / "case-07/online.yaml").read_text(), "num_slots: 6\n", "layer_updates_per_iter: 2\n"):
            self.refuse(2, ["o.yaml", "holds no map", "initial_global_assignments", "TensorRT-LLM chooses"], "convert",
                        self.text("o.yaml", text), "--gpus", 2, "--format", "sglang", "-o", "-")

    def test_vllm_ascend_goes_by_position(self):
        def layer(experts, *ids):
            keys = {"layer_id": ids[0]} if ids else {}
            return {**keys, "device_count": 2, "device_list": [{"device_id": 1 - i, "device_expert": experts[2 * i:2 * i + 2]} for i in range(2)]}

        path = self.text("m.json", json.dumps({"moe_layer_count": 3, "layer_list": [layer([0, 1, 2, 3], 4), layer([3, 2, 1, 0], 4), layer([1, 0, 3, 2])]}))
        result = self.convert(path)
        self.assertEqual(result.stdout.splitlines()[1:4], ["  0: [0, 1, 2, 3]", "  1: [3, 2, 1, 0]", "  2: [1, 0, 3, 2]"])
        self.assertIn("by position", result.stderr)

    def test_a_pattern_of_zeros_and_ones(self):
        # Rank 0 holds experts 0 and 2 of layer 0, 1 and 3 of layer 1; rank 1 the others.
        held = bytes([1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0])
        for descr in ("|u1", "|b1"):
            result = self.convert(self.text("pattern.npy", npy(descr, "(2, 2, 4)", held)))
            self.assertEqual(result.stdout.splitlines()[1:3], ["  0: [0, 2, 1, 3]", "  1: [1, 3, 0, 2]"])
        self.assertIn("order of slots", result.stderr)
        trace = self.text("t.json", json.dumps({"logical_count": COUNTS}))
        self.succeed("evaluate", trace, "--gpus", 2, "--placement", self.folder / "pattern.npy")
        self.refuse(2, ["rank 1 holds 3 experts of layer 1"], "convert", self.text("p.npy", npy("|u1", "(2, 2, 4)", held[:-1] + b"\1")),
                    "--format", "vllm", "-o", "-")


class Messages(Kinds):
    def test_what_is_around_a_text_is_named(self):
        text = json.dumps({"logical_count": COUNTS})
        for content, words in (("\ufeff".encode() + text.encode(), "byte order mark"), (text.encode("utf-16"), "byte order mark"),
                               (gzip.compress(text.encode()), "gunzip"), (pickle.dumps([1], protocol=2), "pickle")):
            path = self.text("c.json", content)
            self.refuse(2, ["c.json", words], "inspect", path)
            self.refuse(2, ["c.json", words], "convert", path, "--gpus", 1, "--format", "vllm", "-o", "-")

    def test_json_lines_are_not_called_broken(self):
        text = json.dumps({"logical_count": COUNTS}) + "\n"
        self.refuse(2, ["c.json", "another JSON document begins", "JSON lines"], "inspect", self.text("c.json", text * 2))
        text = json.dumps({"physical_to_logical_map": [[0, 1]]}) + "\n"
        self.refuse(2, ["p.json", "JSON lines"], "convert", self.text("p.json", text * 2), "--gpus", 1, "--format", "vllm", "-o", "-")

    def test_no_numbers_are_named(self):
        for word in ("NaN", "Infinity", "-Infinity"):
            self.refuse(2, ["c.json", f"holds {word}"], "inspect", self.text("c.json", f'{{"logical_count": [[1, {word}]]}}'))
            step = json.dumps({"record_type": "eplb_load_stats", "version": 1, "expert_load": [[1, 2]], "p2l_map": [[0, 1]]})
            self.refuse(2, ["line 1", f"holds {word}"], "inspect", self.text("v.jsonl", step.replace("[1, 2]", f"[1, {word}]")))

    def test_a_placement_as_a_trace_is_named(self):
        for text in ('{"physical_to_logical_map": [[0, 1]]}', '{"moe_layer_count": 1, "layer_list": []}'):
            self.refuse(2, ["p.json", "a placement, not a recording"], "inspect", self.text("p.json", text))

    def test_a_fused_shared_expert_has_a_hint(self):
        model = CASES / "case-01/model.yaml"
        hint = "--disable-shared-experts-fusion"
        ids = self.text("t.npy", npy("|u1", "(1, 4, 2)", bytes([0, 0, 1, 8, 2, 8, 3, 8])))
        self.refuse(2, ["names expert 8", hint], "inspect", ids, "--model", model)
        counts = self.text("c.json", json.dumps({"logical_count": [[1] * 9] * 4}))
        self.refuse(2, ["9 experts", hint], "inspect", counts, "--model", model)
        self.refuse(2, [hint], "inspect", torch_save(self.folder / "c.pt", {"logical_count": ints([[1] * 9] * 4)}), "--model", model)
        self.refuse(2, ["9 experts", hint], "inspect", counts, "--experts", 8)

    def test_partition_names_an_option_that_it_has(self):
        trace = self.text("c.jsonl", '{"layer": 1, "counts": [5, 6, 7, 8]}\n')
        notes = self.succeed("partition", trace, "--gpus", 2, "--format", "sglang", "-o", "-").stderr
        self.assertIn("(--model)", notes)
        self.assertNotIn("--hidden-layers", notes)


class TopK(Kinds):
    def notes(self, counts, *flags):
        path = self.text("c.json", json.dumps({"logical_count": counts}))
        return self.succeed("partition", path, "--gpus", 2, "-o", self.folder / "out.json", *flags).stderr

    def test_loads_alone_say_what_is_assumed(self):
        self.assertIn("assume 8 (as DeepSeek-V3 has)", self.notes([[1] * 16]))
        self.assertIn("assume 3 (expert 0 of layer 0 has 2 of its layer's 7 choices", self.notes([[2, 1, 1, 1, 1, 1, 0, 0]]))
        self.assertNotIn("assume", self.notes([[1] * 16], "--top-k", 4))

    def test_what_is_given_may_not_contradict_the_loads(self):
        path = self.text("c.json", json.dumps({"logical_count": COUNTS}))
        self.refuse(2, ["cannot choose 2 experts", "expert 1 of layer 1 has 9 of its layer's 11 choices", "--top-k"], "partition", path,
                    "--gpus", 2, "--top-k", 2, "-o", self.folder / "out.json")

    def test_the_assumption_is_what_is_modelled(self):
        path = self.text("c.json", json.dumps({"logical_count": [[9, 1, 1, 1]]}))
        placement = self.text("p.json", "[[0, 1, 2, 3]]")
        score = lambda *flags: self.json_of("evaluate", path, "--gpus", 2, "--placement", placement, "--json", *flags)
        time = lambda report: report["rows"][0]["in_sample"]["step_time_seconds"]
        self.assertEqual(time(score()), time(score("--top-k", 1)))

    def test_a_replay_does_not_assume_what_the_loads_rule_out(self):
        even = [[[1] * 16]] * 3
        path = self.text("c.json", json.dumps({"logical_count": even}))
        self.assertIn("8 are assumed", self.succeed("replay", path, "--gpus", 2).stderr)
        path = self.text("c.json", json.dumps({"logical_count": [[[9] + [1] * 15]] * 3}))
        self.refuse(2, ["8 cannot be assumed", "at most 2", "--top-k"], "replay", path, "--gpus", 2)
        self.succeed("replay", path, "--gpus", 2, "--top-k", 2)


if __name__ == "__main__":
    unittest.main()
