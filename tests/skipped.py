"""One line that says which tests ctest skipped, and why: skipped.py LOG, where LOG is ctest's LastTest.log."""

import collections
import pathlib
import re
import sys

# A case of unittest under -v, a file that ends itself, a case of GoogleTest (its reason stands below its place).
CASE = re.compile(r"^(?:.* )?\.\.\. skipped (['\"])(?P<reason>.*)\1$|^skipped: (?P<file_reason>.*)$|: Skipped\n(?P<gtest_reason>.*)$", re.MULTILINE)
TEST = re.compile(r"^\d+/\d+ Test: (?P<name>[^\n]*)\n(?P<output>.*?)^<end of output>", re.MULTILINE | re.DOTALL)


def skipped(log):
    """Cases skipped by reason and test, of a log of ctest."""
    found = collections.defaultdict(collections.Counter)
    for test in TEST.finditer(log):
        for case in CASE.finditer(test["output"]):
            found[case["reason"] or case["file_reason"] or case["gtest_reason"]][test["name"]] += 1
    return found


def main(log):
    reasons = skipped(log.read_text(errors="replace"))
    told = [f"{reason}: {', '.join(f'{name} ({cases})' for name, cases in tests.items())}" for reason, tests in reasons.items()]
    print("skipped: " + ("; ".join(told) or "no test"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
