"""What the test of the house reads in a C++ file: includes, code without comments and texts, functions."""

import re

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
# Comments, raw texts, texts and characters; the quote of a number (1'000) begins no character.
NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
# Where a statement ends or a body begins.
BORDER = re.compile(r"[{};]|\b(?:public|private|protected)\s*:(?!:)")
SCOPE = re.compile(r"\s*(?:(?:inline\s+)?namespace\b|extern\s*$|(?:template\s*<.*>\s*)?(?:typedef\s+)?(?:class|struct|union|enum)\b)", re.DOTALL)
PARAMETERS_LAST = re.compile(r"\)\s*(?:(?:const|noexcept|override|final)\s*)*$")
# A member in a constructor's list, as in Name() : member{...}
MEMBER_LAST = re.compile(r"\)\s*(?:noexcept\s*)?:[^:].*[\w>]\s*$", re.DOTALL)


def includes(text):
    """What a file includes, in order."""
    return INCLUDE.findall(text)


def blank(found):
    """As many lines as the text that it stands for."""
    return " " + "\n" * found.group().count("\n")


def code(text):
    """The text without comments, texts and directives, on the same lines."""
    return DIRECTIVE.sub(blank, NO_CODE.sub(blank, text))


def kind_of(head):
    """What an opening brace begins, by the text between the statement before and the brace."""
    if SCOPE.match(head) and not PARAMETERS_LAST.search(head):
        return "scope"
    if "(" not in head or re.search(r"=\s*$", head) or (MEMBER_LAST.search(head) and not PARAMETERS_LAST.search(head)):
        return "value"
    return "function"


def label(head):
    """A function's name; a test's is suite and case."""
    name = re.search(r"([~\w:]+|operator\W+)\s*\(([^()]*)", head)
    if name is None:
        return head.strip()
    if name[1].startswith("TEST"):
        return ".".join(part.strip() for part in name[2].split(","))
    return name[1]


def functions(text):
    """The name, first line and number of lines of every function, from its head to its closing brace."""
    text = code(text)
    found, open_braces, begin = [], [], 0
    for border in BORDER.finditer(text):
        mark, kind = border.group(), None
        if mark == "{":
            in_scope = all(kind == "scope" for kind, _ in open_braces)
            open_braces.append((kind_of(text[begin : border.start()]) if in_scope else "value", begin))
        elif mark == "}" and open_braces:
            kind, start = open_braces.pop()
            if kind == "function":
                head = text[start : text.index("{", start)]
                first = text.count("\n", 0, start + len(head) - len(head.lstrip())) + 1
                found.append((label(head), first, text.count("\n", 0, border.start()) + 2 - first))
        # After the braces of a value its statement goes on.
        if kind != "value" and all(kind == "scope" for kind, _ in open_braces):
            begin = border.end()
    return found
