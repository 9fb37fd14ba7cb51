"""What others build with: the installed package by CMake and by pkg-config, and evenkeel as a folder of another project."""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVENKEEL_BIN", ROOT / "build/release/bin"))
USER = ROOT / "tests/install/user"


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1700, **options)


class BuildTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="evenkeel install ")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, *command, **options):
        result = run(*command, **options)
        self.assertEqual(result.returncode, 0, result.stdout[-4000:] + result.stderr[-4000:])
        return result.stdout

    def libraries_of(self, program, **options):
        return self.succeed("ldd", program, **options)

    def assert_it_plans_and_counts(self, folder, **options):
        self.assertEqual(self.succeed(folder / "place_experts", **options), "2 layers of 8 slots\n")
        self.assertEqual(self.succeed(folder / "count_tokens", f"evenkeel-install-{os.getpid()}", **options), "epoch held: -1\n")
        self.assertIn("libevenkeel_probe.so.0", self.libraries_of(folder / "count_tokens", **options))


class InstallTest(BuildTest):
    def setUp(self):
        super().setUp()
        self.prefix = self.folder / "prefix"
        self.succeed("cmake", "--install", BIN.parent, "--prefix", self.prefix)

    def test_programs_are_installed_and_the_agent_has_no_solver(self):
        programs = sorted(path.name for path in (self.prefix / "bin").iterdir())
        self.assertEqual(programs, ["evenkeel", "evenkeel-agent", "evenkeel-rebalancer", "evenkeel-stand-in"])
        self.assertRegex(self.succeed(self.prefix / "bin/evenkeel", "--version"), r"^\d+\.\d+\.\d+$")
        for name in ("glpk", "metis"):
            self.assertNotIn(name, self.libraries_of(self.prefix / "bin/evenkeel-agent"))

    def test_an_outside_project_finds_the_package(self):
        build = self.folder / "build"
        self.succeed("cmake", "-S", USER, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.succeed("cmake", "--build", build)
        self.assert_it_plans_and_counts(build)

    def test_pkg_config_finds_the_package(self):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.prefix / "lib/pkgconfig"), LD_LIBRARY_PATH=str(self.prefix / "lib"))

        def flags(package):
            return shlex.split(self.succeed("pkg-config", "--cflags", "--libs", package, env=environment))

        self.succeed("c++", "-std=c++20", USER / "place_experts.cc", "-o", self.folder / "place_experts", *flags("evenkeel"))
        self.succeed("cc", USER / "count_tokens.c", "-o", self.folder / "count_tokens", *flags("evenkeel-probe"))
        self.assert_it_plans_and_counts(self.folder, env=environment)


class FolderOfAnotherProjectTest(BuildTest):
    def test_it_builds_without_glpk_and_forces_no_flags(self):
        build = self.folder / "build"
        self.succeed("cmake", "-S", ROOT / "tests/install/around", "-B", build, "-G", "Ninja", f"-DEVENKEEL_SOURCE={ROOT}",
                     "-DEVENKEEL_WITH_GLPK=OFF", "-DCMAKE_UNITY_BUILD=ON")
        self.succeed("cmake", "--build", build)
        self.assert_it_plans_and_counts(build)
        self.assertNotIn("glpk", self.libraries_of(build / "place_experts"))
        for strategy in ("metis-glpk", "moetuner"):
            refused = run(build / "place_experts", strategy)
            self.assertEqual(refused.returncode, 2)
            self.assertIn(f"strategy {strategy} needs GLPK", refused.stderr)
        commands = json.loads((build / "compile_commands.json").read_text())
        ours = [entry["command"] for entry in commands if "place_experts.dir" in entry["command"]]
        self.assertEqual(len(ours), 1)
        for flag in ("-Werror", "-Wall", "-O3", "-fstack-protector"):
            self.assertNotIn(flag, ours[0])


if __name__ == "__main__":
    unittest.main()
