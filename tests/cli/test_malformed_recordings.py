"""Recordings that lie about their size, point elsewhere or are cut: refused in one line, in little memory, nothing written."""

import json
import os
import pathlib
import pickle
import struct
import unittest
import zipfile

from harness import RefusalTest, npy, npz

IDS = npy("|u1", "(4, 2, 2)", bytes([0, 1, 2, 3] * 4))


class MalformedRecordings(RefusalTest):
    def refuse_recording(self, path, *expected, command="profile"):
        out = ["-o", self.folder / "out"] + (["--gpus", 2] if command == "partition" else [])
        self.refuse(2, [pathlib.Path(path).name, *expected], command, path, *out)

    # Claims beyond what there is.
    def test_npy_that_claims_two_gigabytes_in_a_kilobyte(self):
        header = npy("|u1", "(1000000000, 2, 1)", bytes(900))
        self.refuse_recording(self.text("t.npy", header), "(1000000000, 2, 1)")

    def test_zip_bomb(self):
        path = self.folder / "bomb.npz"
        tokens = 700_000_000
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open("ids.npy", "w", force_zip64=True) as out:
            out.write(npy("|u1", f"({tokens}, 1, 1)", b""))
            for _ in range(tokens // 10_000_000):
                out.write(bytes(10_000_000))
        self.assertLess(path.stat().st_size, 2_000_000)
        for command in ("profile", "partition"):
            self.refuse_recording(path, "ids", "numpy.savez", command=command)

    def test_token_paths_too_large_for_memory(self):
        ids = npy("<u8", "(400000000, 2, 8)", b"")
        self.refuse_recording(npz(self.folder / "t.npz", ids=ids), "claims shape (400000000, 2, 8)", command="partition")

    def test_loads_that_overflow(self):
        loads = npy("<u8", "(4294967296, 4294967296, 4294967296)", b"")
        self.refuse_recording(npz(self.folder / "t.npz", loads=loads), "shape")

    def test_safetensors_header_of_an_exabyte(self):
        self.statistics({"num_experts": 4}, struct.pack("<Q", 1 << 60) + b"{}")
        self.refuse_recording(self.folder / "statistics", "rank0.safetensors")

    def test_vllm_line_without_end(self):
        self.refuse_recording(self.text("v.jsonl", '{"record_type":"eplb_load_stats","expert_load":[[' + "1," * (12 << 20)), "line 1")

    def test_json_nested_a_million_times(self):
        self.refuse_recording(self.text("c.json", '{"logical_count": ' + "[" * 1_000_000), "c.json")

    # Things that are elsewhere.
    def test_symbolic_link_to_itself(self):
        (self.folder / "loop.npz").symlink_to(self.folder / "loop.npz")
        self.refuse_recording(self.folder / "loop.npz", "cannot be read")

    def test_symbolic_link_to_a_device(self):
        (self.folder / "zero.npy").symlink_to("/dev/zero")
        self.refuse_recording(self.folder / "zero.npy", "pipe or device")

    def test_statistics_that_are_a_device(self):
        self.statistics({"num_experts": 4}, b"")
        (self.folder / "statistics/rank0.safetensors").unlink()
        (self.folder / "statistics/rank0.safetensors").symlink_to("/dev/zero")
        self.refuse_recording(self.folder / "statistics", "pipe or device")

    def test_statistics_that_are_a_pipe(self):
        self.statistics({"num_experts": 4}, b"")
        (self.folder / "statistics/rank0.safetensors").unlink()
        os.mkfifo(self.folder / "statistics/rank0.safetensors")
        self.refuse_recording(self.folder / "statistics", "pipe or device")

    # Pickles.
    def test_pickle_that_names_a_foreign_function(self):
        class Command:
            def __reduce__(self):
                return os.system, (f"touch {marker}",)

        marker = self.folder.parent / "evenkeel-pickle-ran"
        path = self.folder / "r.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("r/data.pkl", pickle.dumps({"logical_count": Command()}, 2))
            archive.writestr("r/version", "3\n")
        self.refuse_recording(path, "system")
        self.assertFalse(marker.exists())

    def test_pickle_without_storage(self):
        path = self.folder / "r.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("r/data.pkl", pickle.dumps({"logical_count": 3}, 2))
        self.refuse_recording(path, "logical_count")

    def test_cut_archive(self):
        path = self.folder / "r.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("r/data.pkl", pickle.dumps({}, 2) * 1000)
        self.refuse_recording(self.text("cut.pt", path.read_bytes()[:-30]), "zip")

    # Profiles.
    def test_profile_with_negative_loads(self):
        self.refuse_recording(npz(self.folder / "p.npz", loads=npy("<i8", "(1, 1, 2)", struct.pack("<2q", 5, -1))), "loads[0, 0, 1] is -1")

    def test_profile_with_loads_of_wrong_rank(self):
        self.refuse_recording(npz(self.folder / "p.npz", loads=npy("<i8", "(2, 2)", bytes(32))), "[windows, layers, experts]")

    def test_profile_with_float_loads(self):
        self.refuse_recording(npz(self.folder / "p.npz", loads=npy("<f4", "(1, 1, 1)", struct.pack("<f", float("nan")))), "kind 'f'")

    def test_profile_whose_parts_disagree(self):
        loads = npy("<u8", "(1, 3, 4)", bytes(96))
        self.refuse_recording(npz(self.folder / "p.npz", loads=loads, ids=IDS), "2 layers but loads has 3")

    def test_profile_with_a_window_beyond_its_loads(self):
        loads = npy("<u8", "(1, 2, 4)", struct.pack("<8Q", *range(8)))
        self.refuse_recording(npz(self.folder / "p.npz", loads=loads, ids=IDS, window=npy("|u1", "(1,)", b"\1")), "window[0] is 1")

    def test_sample_rate_that_is_no_power_of_two(self):
        loads = npy("<u8", "(1, 2, 4)", struct.pack("<8Q", *range(8)))
        path = npz(self.folder / "p.npz", loads=loads, ids=IDS, paths_one_in=npy("<u8", "()", struct.pack("<Q", 3)))
        self.refuse_recording(path, "paths_one_in is 3")

    def test_times_that_fall(self):
        path = npz(self.folder / "t.npz", ids=IDS, seq_start=npy("<i8", "(3,)", struct.pack("<3q", 0, 2, 4)), seconds=npy("<i8", "(2,)", struct.pack("<2q", 9, 3)))
        self.refuse(2, ["t.npz", "seconds falls"], "profile", path, "--window-seconds", 5, "-o", self.folder / "out")

    # The command line.
    def test_windows_by_time_without_times(self):
        self.refuse(2, ["t.npz", "--window-tokens"], "profile", npz(self.folder / "t.npz", ids=IDS), "--window-seconds", 5, "-o", self.folder / "out")

    def test_windows_of_loads_by_tokens(self):
        counts = self.text("c.json", json.dumps({"logical_count": [[1, 2]]}))
        self.refuse(2, ["c.json", "--window-sequences"], "profile", counts, "--window-tokens", 5, "-o", self.folder / "out")

    def test_two_kinds_of_windows(self):
        path = npz(self.folder / "t.npz", ids=IDS)
        self.refuse(2, ["--window-tokens", "--window-sequences"], "profile", path, "--window-tokens", 5, "--window-sequences", 5, "-o", self.folder / "out")

    def test_profile_that_skips_everything(self):
        self.refuse(2, ["t.npz", "--skip"], "profile", npz(self.folder / "t.npz", ids=IDS), "--skip", 9, "-o", self.folder / "out")

    def test_archive_on_standard_output(self):
        self.refuse(1, ["-:", "path of a file"], "profile", npz(self.folder / "t.npz", ids=IDS), "-o", "-")

    def test_archive_into_a_folder_that_is_not_there(self):
        self.refuse(1, ["cannot be written"], "profile", npz(self.folder / "t.npz", ids=IDS), "-o", self.folder / "no/out.npz")

    def test_recordings_of_two_kinds(self):
        counts = self.text("c.json", json.dumps({"logical_count": [[1, 2], [3, 4]]}))
        self.refuse(2, ["c.json", "loads only"], "profile", npz(self.folder / "t.npz", ids=IDS), counts, "-o", self.folder / "out")

    def statistics(self, meta, rank0):
        folder = self.folder / "statistics"
        folder.mkdir()
        (folder / "meta_info.json").write_text(json.dumps(meta))
        (folder / "rank0.safetensors").write_bytes(rank0)


if __name__ == "__main__":
    unittest.main()
