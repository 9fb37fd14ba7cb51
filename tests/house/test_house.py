"""Holds the sources to the rules of the house; reads files only, and needs no build.

rooms.yaml has the arrows that are permitted between rooms. After a change that is meant, write it anew and look at the difference:
    /usr/bin/python3 tests/house/test_house.py --arrows > tests/house/rooms.yaml
limits.yaml has the rest: lengths, who may include which library, what stands nowhere.
"""

import pathlib
import re
import sys
import unittest

import cpp_text
import picture
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOUSE = pathlib.Path(__file__).resolve().parent
# Each may use those before it, and no other.
TOP = ["partition", "pipeline", "agents", "rebalancer"]
# The rooms of pipeline that agents may use: they know of no command line and no strategy.
NEUTRAL = {"pipeline/flags", "pipeline/config", "pipeline/trace"}
# The kernel's and POSIX's headers; the standard library's have no dot.
SYSTEM = re.compile(r"(arpa|linux|net|netinet|sys)/\w+\.h|(dirent|fcntl|poll|pthread|sched|semaphore|signal|spawn|std\w+|termios|time|unistd)\.h|[a-z_0-9]+")
PAGE = ROOT / "docs/architecture.md"
# Written so that it does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")


def files(suffixes, folders):
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in suffixes)
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(found)}


CPP = files({".h", ".cc"}, [*TOP, "bench", "tests"])
OURS = {name: text for name, text in CPP.items() if name.split("/")[0] in TOP}
LISTS = files({".txt"}, [*TOP, "bench", "tests"])
ROOMS = yaml.safe_load((HOUSE / "rooms.yaml").read_text()) or {}
LIMITS = yaml.safe_load((HOUSE / "limits.yaml").read_text())


def room_of(name):
    return str(pathlib.PurePath(name).parent)


def arrows():
    """Every room, with the other rooms that its files include and one file of each that does."""
    found = {room_of(name): {} for name in OURS}
    for name, text in OURS.items():
        for target in cpp_text.includes(text):
            if target in CPP and room_of(target) != room_of(name):
                found[room_of(name)].setdefault(room_of(target), name)
    return found


def sorted_rooms(uses):
    """Rooms after all that they use, as near to the written order as that allows, also where arrows run in a circle."""
    rank = {room: number for number, room in enumerate(ROOMS)}
    left = sorted(uses, key=lambda room: (TOP.index(room.split("/")[0]), rank.get(room, len(rank)), room))
    done = []
    while left:
        done.append(min(left, key=lambda room: len(set(uses[room]) - set(done))))
        left.remove(done[-1])
    return done


def forbidden_at_the_top(room, target):
    """Why no list can permit the arrow; None where one can."""
    here, there = room.split("/")[0], target.split("/")[0]
    if there not in TOP or TOP.index(there) > TOP.index(here):
        return f"{here} does not know of {there}"
    if here == "agents" and there == "pipeline" and target not in NEUTRAL:
        return "agents know of pipeline's " + ", ".join(sorted(NEUTRAL)) + " alone"
    return None


def is_of(library, header):
    """Whether a header is the library's: a header, or a folder of them."""
    return header == library or (library.endswith("/") and header.startswith(library))


def adapters_of(header):
    return next((adapters for library, adapters in LIMITS["libraries"].items() if is_of(library, header)), [])


def is_free(header):
    return SYSTEM.fullmatch(header) or any(is_of(library, header) for library in LIMITS["free"])


def is_listed(name):
    """Whether a CMakeLists.txt names the file: its folder's, or that of one above."""
    for folder in pathlib.PurePath(name).parents:
        inside = re.escape(str(pathlib.PurePath(name).relative_to(folder)))
        if re.search(rf"(?<![\w/.-]){inside}(?![\w/.-])", LISTS.get(f"{folder}/CMakeLists.txt", "")):
            return True
    return False


class HouseTest(unittest.TestCase):
    def hold(self, faults):
        """There are none; else all of them are told, a line each."""
        if told := sorted(faults):
            self.fail("\n".join(["", *told]))


class Arrows(HouseTest):
    def test_rooms_include_only_what_the_list_permits(self):
        self.hold(
            f"{name} includes {target}, which rooms.yaml does not permit {room}"
            for room, targets in arrows().items()
            for target, name in targets.items()
            if target not in ROOMS.get(room, [])
        )

    def test_the_list_permits_only_what_is_used(self):
        used = arrows()
        self.hold(
            f"{room} does not include {target}: take it out of rooms.yaml"
            for room, permitted in ROOMS.items()
            for target in permitted
            if target not in used.get(room, {})
        )
        self.hold(f"{room} is either in rooms.yaml or a folder, not both" for room in set(ROOMS) ^ set(used))

    def test_a_room_stands_after_all_that_it_includes(self):
        order = list(ROOMS)
        self.hold(
            f"{room} stands before {target} in rooms.yaml, or their arrows run in a circle"
            for room, permitted in ROOMS.items()
            for target in permitted
            if order.index(target) >= order.index(room)
        )

    def test_top_folders_know_only_of_those_before_them(self):
        self.hold(
            f"{name} includes {target}: {reason}"
            for room, targets in arrows().items()
            for target, name in targets.items()
            if (reason := forbidden_at_the_top(room, target))
        )

    def test_no_header_includes_itself_by_way_of_others(self):
        done = set()

        def visit(name, way):
            self.assertNotIn(name, way, " -> ".join([*way, name]))
            if name not in done:
                for target in cpp_text.includes(CPP[name]):
                    if target in CPP:
                        visit(target, [*way, name])
                done.add(name)

        for name in CPP:
            visit(name, [])

    def test_the_picture_is_of_the_rooms_as_they_are(self):
        drawn = (ROOT / "docs/images/rooms.svg").read_text()
        self.assertEqual(drawn, picture.draw(ROOMS), "draw it anew: /usr/bin/python3 tests/house/picture.py >docs/images/rooms.svg")

    def test_the_architecture_page_names_every_room(self):
        page = PAGE.read_text()
        self.hold(f"docs/architecture.md does not name {room}" for room in ROOMS if room not in page)


class Libraries(HouseTest):
    def test_each_is_included_by_its_adapters_alone(self):
        self.hold(
            f"{name} includes <{header}>; limits.yaml permits it {adapters_of(header) or 'nobody'}"
            for name, text in OURS.items()
            for header in cpp_text.includes(text)
            if header not in CPP and not is_free(header) and name not in adapters_of(header)
        )

    def test_every_adapter_listed_is_one(self):
        self.hold(
            f"{name} does not include {library}: take it out of limits.yaml"
            for library, adapters in LIMITS["libraries"].items()
            for name in adapters
            if not any(is_of(library, header) for header in cpp_text.includes(CPP.get(name, "")))
        )


class Sources(HouseTest):
    def test_every_source_is_in_a_target(self):
        self.hold(f"{name} is in no CMakeLists.txt: nobody builds it" for name in CPP if name.endswith(".cc") and not is_listed(name))

    def test_every_header_is_included_by_another_file(self):
        included = {target for name, text in CPP.items() for target in cpp_text.includes(text) if target != name}
        self.hold(f"nobody includes {name}" for name in CPP if name.endswith(".h") and name not in included)

    def test_every_python_test_is_run_by_ctest(self):
        tests = [name for name in files({".py"}, ["tests"]) if re.search(r"/test_\w+\.py$|_test\.py$", name)]
        self.hold(f"ctest does not know {name}" for name in tests if not (is_listed(name) or is_listed(name.removesuffix(".py"))))


class Lengths(HouseTest):
    def hold_to(self, longest, exceptions, lengths):
        """Lengths to the limit, exceptions to theirs; an exception must be needed."""
        limits = {name: exceptions.get(name, {"lines": longest(name)})["lines"] for name in lengths}
        too_long = [f"{name} has {lines} lines, above {limits[name]}" for name, lines in lengths.items() if lines > limits[name]]
        idle = [f"limits.yaml excepts {name} without need" for name in exceptions if lengths.get(name, 0) <= longest(name)]
        self.hold(too_long + idle)

    def test_files(self):
        def longest(name):
            return LIMITS["lines_max"]["test_file" if name.startswith("tests/") else "file"]

        self.hold_to(longest, LIMITS["exceptions"]["files"], {name: text.count("\n") for name, text in CPP.items()})

    def test_functions(self):
        lengths = {}
        for name, text in CPP.items():
            for function, _, lines in cpp_text.functions(text):
                lengths[f"{name}:{function}"] = max(lines, lengths.get(f"{name}:{function}", 0))
        # Some four thousand; far fewer means that the reader of functions is broken.
        self.assertGreater(len(lengths), 3000)
        self.hold_to(lambda name: LIMITS["lines_max"]["function"], LIMITS["exceptions"]["functions"], lengths)


class Banned(HouseTest):
    def test_words_stand_nowhere(self):
        self.hold(
            f"{name}: {found.group()}: {ban['reason']}"
            for name, text in OURS.items()
            for ban in LIMITS["banned"]
            if (found := re.search(ban["pattern"], cpp_text.code(text)))
        )

    def test_nothing_is_left_unfinished(self):
        everything = files({".h", ".cc", ".py", ".sh", ".txt", ".cmake", ".mjs", ".js"}, [*TOP, "bench", "cmake", "scripts", "tests"])
        self.hold(f"{name}: {found.group()}" for name, text in everything.items() if (found := UNFINISHED.search(text)))


class Reader(HouseTest):
    """The reader of C++ itself, where it would go wrong unseen."""

    def test_functions_are_found_with_their_lines(self):
        text = """
namespace a {
/// A "brace { in a comment.
struct Point {
  int x{1};
  int twice() const { return 2 * x; }
};
Point::Point(int x)
    : x{x}, text(R"x({)x") {
  const auto f = [] { return '{'; };
  if (x > 1'000) f();
}
template <class T>
T same(T value) {
  return value;
}
}  // namespace a
TEST(Suite, case) {
}
"""
        found = [(name, lines) for name, _, lines in cpp_text.functions(text)]
        self.assertEqual(found, [("twice", 1), ("Point::Point", 5), ("same", 4), ("Suite.case", 2)])


if __name__ == "__main__":
    if sys.argv[1:] == ["--arrows"]:
        print("# Rooms, each after all that it includes, and the rooms that it may include. tests/house/test_house.py holds sources to it.")
        uses = arrows()
        order = sorted_rooms(uses)
        for room in order:
            print(f"{room}: [{', '.join(sorted(uses[room], key=order.index))}]")
    else:
        unittest.main()
