"""Reads sources with clang and clang-tidy, by the commands of the preset clang: see scripts/lint.sh."""

import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORK = ROOT / "build/clang"
CLANG, TIDY = "clang++-14", "clang-tidy-14"
FOLDERS = ("partition", "pipeline", "agents", "rebalancer", "tests", "bench")
LIBRARY = re.compile(r"^#include <([^>]+)>", re.MULTILINE)
OURS = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# A library's header that so many files include is parsed once for all of them. Any number gives the same findings.
COMMON_FROM = 8
# What only shared libraries are compiled with.
SHARED_LIBRARY = {"-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden"}
# Without --full clang reads one in so many of the sources that no change has touched: all would take four minutes on two cores.
SPREAD = 3
# Sources that clang-tidy reads without --full, at some twelve seconds each.
TIDY_MAX = 12


def commands():
    """The options of each of our sources; generated ones, under build/, are left out."""
    found = {}
    for entry in json.loads((WORK / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
            words = shlex.split(entry["command"])
            first = next(place for place, word in enumerate(words) if word.startswith("-"))
            # No code is made; the precompiled header would not do for both kinds of it.
            found[str(path.relative_to(ROOT))] = [word for word in words[first : words.index("-o")] if word not in SHARED_LIBRARY]
    return found


def our_headers():
    return [str(path.relative_to(ROOT)) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.h"))]


@functools.cache
def text_of(name):
    return (ROOT / name).read_text()


def precompile(sources):
    """Libraries' headers that many files include, made with the options of one source and the definitions of all."""
    header, compiled = WORK / "common.h", WORK / "common.h.pch"
    counts = collections.Counter(library for name in [*sources, *our_headers()] for library in set(LIBRARY.findall(text_of(name))))
    header.write_text("".join(f"#include <{library}>\n" for library, files in sorted(counts.items()) if files >= COMMON_FROM))
    definitions = sorted({option for options in sources.values() for option in options if option.startswith("-D")})
    options = [option for option in next(iter(sources.values())) if not option.startswith("-D")]
    command = [CLANG, "-x", "c++-header", *options, *definitions, "-fpch-instantiate-templates", str(header), "-o", str(compiled)]
    subprocess.run(command, check=True, cwd=ROOT)
    return str(compiled)


@functools.cache
def reached_from(name):
    """A file of ours and all of ours that it includes."""
    headers = [header for header in OURS.findall(text_of(name)) if (ROOT / header).exists()]
    return {name}.union(*map(reached_from, headers))


def check_all(command_of, names):
    """Runs each name's command, one a core at a time; prints what fails, and returns the names that do."""
    failures = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        run = functools.partial(subprocess.run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        for name, result in zip(names, pool.map(lambda name: run(command_of(name)), names)):
            if result.returncode != 0:
                failures.add(name)
                print(result.stdout, flush=True)
    return failures


def git(*arguments):
    """The lines that git answers; none where it fails, as outside a checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()


def changed_files():
    """What the working tree and the commits since origin/main have changed, and the last commit at least."""
    head = git("rev-parse", "HEAD")
    base = [commit for commit in git("merge-base", "HEAD", "origin/main") if [commit] != head] or git("rev-parse", "--verify", "--quiet", "HEAD~1")
    # The path is all that stands after two letters and a blank.
    touched = [line[3:] for line in git("status", "--porcelain", "--no-renames", "--untracked-files=all")]
    return {*git("diff", "--name-only", *base[:1]), *touched} if base else set(touched)


def read(sources, changed):
    """clang without code, of all sources that a change can have touched and of a spread of the others; names that fail."""
    others = [name for name in sources if not reached_from(name) & changed]
    names = [name for name in sources if name not in others] + others[::SPREAD]
    compiled = precompile(sources)
    failures = check_all(lambda name: [CLANG, *sources[name], "-fsyntax-only", "-include-pch", compiled, name], names)
    print(f"lint: clang read {len(names)} of {len(sources)} sources: all that a change can have touched, and one in {SPREAD} of the others")
    return failures


def sources_to_read(sources, changed):
    """Changed sources, and for each changed header a source that includes it: its own one if there is one."""
    chosen = {name for name in sources if name in changed}
    for header in (name for name in our_headers() if name in changed):
        users = [name for name in sources if f'#include "{header}"' in text_of(name)]
        own = header.removesuffix(".h") + ".cc"
        if not chosen.intersection(users):
            chosen.update([own] if own in users else users[:1])
    return sorted(chosen)


def tidied(sources, whole):
    """What clang-tidy reads: programs and libraries, not tests."""
    sources = {name: options for name, options in sources.items() if not name.startswith(("tests/", "bench/"))}
    if whole:
        return list(sources)
    names = sources_to_read(sources, changed_files())
    if len(names) > TIDY_MAX:
        print(f"lint: {len(names)} sources changed; clang-tidy reads {TIDY_MAX} of them, and all under --full")
    return names[:: -(-len(names) // TIDY_MAX) or 1]


def main(whole):
    sources = commands()
    # With --full clang has built them.
    failures = set() if whole else read(sources, changed_files())
    begin = time.monotonic()
    names = tidied(sources, whole)
    failures |= check_all(lambda name: [TIDY, "--quiet", "-p", str(WORK), name], names)
    print(f"lint: clang-tidy read {len(names)} sources in {time.monotonic() - begin:.0f} s")
    if failures:
        sys.exit(f"lint: findings in {' '.join(sorted(failures))}")
    print("lint: clean")


if __name__ == "__main__":
    main(sys.argv[1:] == ["--full"])
