"""Runs every command that the documents show, and checks that their links lead somewhere.

A block fenced as ```sh is run by bash from the repository's root, with the programs under test and a folder of its own in
place of /tmp/evenkeel. quickstart.sh and test.sh stand in plain blocks: they are run as a whole, not from here.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVENKEEL_BIN", ROOT / "build/release/bin"))
# What the documents call the folder of programs and the folder for files. One pass puts the real ones in their place: the
# programs' own path may begin like the other.
NAMED = re.compile(r"build/release/bin/|/tmp/evenkeel\b")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run_script(script):
    """Exit code and output of a shell script; what it leaves running is killed."""
    with tempfile.TemporaryFile(mode="w+") as output:
        shell = subprocess.Popen(["bash", "-euc", script], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = shell.wait(timeout=600)
        except subprocess.TimeoutExpired:
            code = "timed out"
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            shell.wait()
        output.seek(0)
        return code, output.read()


class Documents(unittest.TestCase):
    def test_commands_run(self):
        ran = 0
        for document in DOCUMENTS:
            blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
            with tempfile.TemporaryDirectory(prefix="evenkeel-docs-") as folder:
                for block in blocks:
                    script = NAMED.sub(lambda found: folder if found[0].startswith("/") else shlex.quote(f"{BIN}/"), block)
                    code, output = run_script(script)
                    self.assertEqual(code, 0, f"{document.relative_to(ROOT)}:\n{block}\n{output}")
                    ran += 1
        self.assertGreaterEqual(ran, 5)

    def test_the_shown_table_is_of_this_version(self):
        shown = (ROOT / "README.md").read_text()
        command = f"{shlex.quote(str(BIN / 'evenkeel'))} compare tests/data/evenkeel-moe/day.npz --gpus 8 --holdout 0.5 --work 20000000 " \
                  "--strategies contiguous,eplb,evenkeel 2>/dev/null"
        code, output = run_script(command)
        self.assertEqual(code, 0, output)
        lines = output.splitlines()
        for line in (lines[0], lines[1], lines[3], lines[4], lines[-1]):
            self.assertIn(line, shown, "README.md shows another version's output: run ./quickstart.sh and take its lines")

    def test_plain_blocks_hold_no_command_of_ours(self):
        for document in DOCUMENTS:
            for block in re.findall(r"^```\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
                self.assertNotIn("build/release/bin/", block, f"{document.relative_to(ROOT)}: mark it as sh, so that it is run")

    def test_links_lead_somewhere(self):
        for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
            for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}")


if __name__ == "__main__":
    unittest.main()
