"""Help that a user meets: examples, completion, manual pages, the nearest word."""

import re
import shlex
import shutil
import subprocess
import unittest

from harness import BIN, CommandTest, run


class Help(CommandTest):
    def commands(self):
        listed = self.succeed("--help").stdout.split("Subcommands:")[1]
        return re.findall(r"^  (\w+) ", listed, re.MULTILINE)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = (f"source <({shlex.quote(str(BIN))}/evenkeel completion bash); COMP_WORDS=({' '.join(repr(word) for word in words)}); "
                  f"COMP_CWORD={len(words) - 1}; _evenkeel; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=self.folder, timeout=60)
        self.assertEqual(shell.stderr, "")
        return shell.stdout.split()

    def test_every_command_shows_examples_that_name_it(self):
        commands = self.commands()
        self.assertGreaterEqual(len(commands), 10)
        for command in commands:
            examples = self.succeed(command, "--help").stdout.split("Examples:")
            self.assertEqual(len(examples), 2, command)
            self.assertIn(f"evenkeel {command}", examples[1])

    def test_bash_completes_commands_options_values_and_files(self):
        (self.folder / "trace.npz").touch()
        self.assertEqual(self.complete("evenkeel", "par"), ["partition"])
        self.assertEqual(self.complete("evenkeel", "partition", "--obj"), ["--objective"])
        self.assertEqual(self.complete("evenkeel", "partition", "--format", "vllm"), ["vllm", "vllm-pr49572"])
        self.assertEqual(self.complete("evenkeel", "partition", "tr"), ["trace.npz"])

    def test_other_shells_take_their_scripts(self):
        for shell in ("zsh", "fish"):
            script = self.succeed("completion", shell).stdout
            for command in self.commands():
                self.assertIn(command, script)
            if shutil.which(shell):
                check = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=60)
                self.assertEqual((check.returncode, check.stderr), (0, ""), shell)

    def test_manual_pages_are_clean_and_whole(self):
        for command in ["", *self.commands()]:
            page = self.succeed("man", *([command] if command else [])).stdout
            check = subprocess.run(["groff", "-man", "-ww", "-Tascii"], input=page, capture_output=True, text=True, timeout=60)
            self.assertEqual((check.returncode, check.stderr), (0, ""), command)
            shown = re.sub(".\x08", "", check.stdout)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS"):
                self.assertIn(section, shown)
            if command:
                self.assertIn("EXAMPLES", shown)
                for flag in re.findall(r"--[a-z][a-z-]+", self.succeed(command, "--help").stdout.split("Examples:")[0]):
                    self.assertIn(flag.replace("-", "\\-"), page)

    def test_errors_name_the_nearest_word(self):
        for words, nearest in ((("partion",), "partition"), (("partition", "t.npz", "--gpsu", "8"), "--gpus"),
                               (("man", "inspct"), "inspect"), (("partition", "t.npz", "--gpus", "8", "-o", "x", "--strategy", "lptt"), "lpt")):
            result = run(*words)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f"'{nearest}'", result.stderr)


if __name__ == "__main__":
    unittest.main()
