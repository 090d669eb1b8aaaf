"""What every source file of the repository has to be like: what a reader would otherwise have to remark again and again."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIM = "zig/shim/"
CONTRACT = tuple(
    f"{SHIM}abi/socketify{part}.h" for part in ("", "_compression", "_metrics", "_observing", "_python", "_websocket")
)
TOOLS = ("bench", "build.zig", "fuzz", "hatch_build.py", "socketify", "tests", "tools", "zig")

LINES_MAX = 500
LINE_MAX = {".py": 128, ".zig": 132, ".cpp": 132, ".h": 132}
COMMENTS = {".py": ('"""', 'r"""', "#!"), ".zig": ("//!",), ".cpp": ("/*",), ".h": ("/*",)}

# Made by a program.
GENERATED = ("socketify/native/abi.py",)
# Words for checkers, which may stand behind a line that is full.
PRAGMAS = re.compile(r"  # (type: ignore|noqa).*$")

# What folders of the shim may include of each other. All of them see the contract.
INCLUDES = {
    "abi": ("cpython", "http", "http2", "proxy", "websocket"),
    "cpython": ("cpython", "http", "http2", "proxy", "websocket"),
    "http": ("http", "http2", "proxy", "websocket"),
    "http2": ("http", "http2", "proxy", "websocket"),
    "proxy": ("http", "http2", "proxy", "websocket"),
    "websocket": ("http", "http2", "proxy", "websocket"),
}
WITHOUT_CPYTHON = ("http", "http2", "proxy", "websocket")


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *TOOLS]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout", allow_module_level=True)
    return [name for name in sorted(listed.stdout.splitlines()) if Path(name).suffix in LINE_MAX and (ROOT / name).exists()]


SOURCES = {name: (ROOT / name).read_text() for name in tracked()}
NATIVE = {name: text for name, text in SOURCES.items() if name.endswith((".cpp", ".h"))}
OF_SHIM = {name: text for name, text in NATIVE.items() if name.startswith(SHIM)}


def code_of(text: str) -> str:
    """Return C or C++ without comments and contents of strings, each on the line where it was."""
    blank = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
    return blank.sub(lambda found: '""' if found[0][0] == '"' else re.sub(r"[^\n]", " ", found[0]), text)


CODE = {name: code_of(text) for name, text in NATIVE.items()}
WORDS = {name: Counter(re.findall(r"\w+", code)) for name, code in CODE.items()}
Remark = tuple[str, int, str]


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def layout() -> Iterator[Remark]:
    for name, text in SOURCES.items():
        suffix = Path(name).suffix
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            length = len(PRAGMAS.sub("", line))
            if length > LINE_MAX[suffix]:
                yield name, number, f"has {length} characters, more than {LINE_MAX[suffix]}"
            if "\t" in line:
                yield name, number, "has a tab"
            if line != line.rstrip():
                yield name, number, "ends with blanks"
        if text and (lines[-1] or not lines[-2].strip()):
            yield name, len(lines), "a file ends with one newline"
        if len(lines) - 1 > LINES_MAX and name not in GENERATED:
            yield name, len(lines) - 1, f"a file has at most {LINES_MAX} lines"


def own_header(name: str) -> str:
    """Return the header of a C++ file's name, or nothing."""
    header = name[: -len(".cpp")] + ".h"
    return header if name.endswith(".cpp") and header in NATIVE else ""


def first_lines() -> Iterator[Remark]:
    for name, text in SOURCES.items():
        if own_header(name):
            include = f'#include "{own_header(name)[len(SHIM) :]}"'
            if not text.startswith(include + "\n"):
                yield name, 1, f"begins with {include}, which says what it is"
        elif text and not text.startswith(COMMENTS[Path(name).suffix]):
            yield name, 1, "the first line says what the file is"
        elif text.startswith("#!") and not text.split("\n")[1].startswith('"""'):
            yield name, 2, "the second line says what the file is"


def guards() -> Iterator[Remark]:
    """What keeps a header from being read twice has the name of its path."""
    for name, text in OF_SHIM.items():
        guard = "SK_" + re.sub(r"\W", "_", name[len(SHIM) :]).upper()
        if name.endswith(".h") and name not in CONTRACT and f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield name, 1, f"is guarded by {guard}"


def namespaces() -> Iterator[Remark]:
    for name, code in CODE.items():
        for found in re.finditer(r"^using namespace ", code, re.MULTILINE):
            yield name, line_of(code, found.start()), "uses a namespace at file scope"


def includes() -> Iterator[Remark]:
    """Of the shim: what is above, and CPython below cpython/."""
    for name, text in OF_SHIM.items():
        folder = name[len(SHIM) :].split("/")[0]
        for found in re.finditer(r'^#include "((\w+)/[\w.]+)"', text, re.MULTILINE):
            if found[1] != "abi/socketify.h" and found[2] not in INCLUDES[folder]:
                yield name, line_of(text, found.start()), f"{folder}/ must not include {found[1]}"
        for found in re.finditer(r"\b(PyObject|Object|socketify_python)\b", CODE[name] if folder in WITHOUT_CPYTHON else ""):
            yield name, line_of(CODE[name], found.start()), f"{folder}/ knows no CPython: {found[1]}"


def units() -> Iterator[Remark]:
    """Every C++ file is compiled."""
    build = SOURCES["zig/build/Native.zig"]
    listed = Counter(re.findall(r'^ +"(\w+/\w+\.cpp)",$', build, re.MULTILINE))
    files = {name[len(SHIM) :] for name in OF_SHIM if name.endswith(".cpp")}
    for name in files - set(listed):
        yield SHIM + name, 1, "is in no unit of zig/build/Native.zig"
    for name, count in listed.items():
        if name not in files or count != 1:
            line = line_of(build, build.index(f'"{name}"'))
            yield "zig/build/Native.zig", line, f"lists {name}, which {'is listed twice' if name in files else 'is no file'}"


CLASS = re.compile(
    r"^ *(?:typedef )?(?:class|struct|union|enum|enum class) (\w+)(?: final)?(?: :[^;{]*)? \{",
    re.MULTILINE,
)


def class_names() -> Iterator[Remark]:
    """A name means one thing in all of the shim."""
    seen: dict[str, str] = {}
    for name in OF_SHIM:
        for found in CLASS.finditer(CODE[name]):
            line = line_of(CODE[name], found.start(1))
            if found[1] in seen:
                yield name, line, f"{found[1]} is the name of another class, in {seen[found[1]]}"
            seen.setdefault(found[1], f"{name}:{line}")


TYPE = r"(?:[\w:<>]+[ *&]+)+"
# A name, parameters, and whether a body follows.
SIGNATURE = r"(\w+)\(([^;{}]*)\)(?: const)?(?: override)?(;| \{)"
FUNCTION = re.compile(
    r"^(?:template <[^\n]*>\s)?(?!typedef|using|return|friend)" + TYPE + SIGNATURE,
    re.MULTILINE,
)
METHOD = re.compile(r"^  (?:static |virtual |explicit )?" + TYPE + SIGNATURE, re.MULTILINE)
VARIABLE = re.compile(r"^(extern|(?:inline )?constexpr) " + TYPE + r"(\w+)(?:;| =|\{|\[)", re.MULTILINE)


def defines(code: str, function: str) -> bool:
    """Whether a function has its body at file or namespace scope."""
    return re.search(rf"^(?!extern)[\w:<>*& ]*\b{function}\([^;]*?\)(?: const)? \{{", code, re.MULTILINE) is not None


def used_outside(word: str, but: tuple[str, ...]) -> bool:
    return any(words[word] for name, words in WORDS.items() if name not in but)


def headers() -> Iterator[Remark]:
    """A header declares what the file of its name defines, and somebody else uses it."""
    for name in OF_SHIM:
        if name.endswith(".cpp") or name in CONTRACT:
            continue
        body = name[: -len(".h")] + ".cpp"
        code = CODE[name]
        for found in FUNCTION.finditer(code):
            line = line_of(code, found.start(1))
            if found[3] == ";" and not defines(CODE.get(body, ""), found[1]):
                yield name, line, f"declares {found[1]}, which {body} does not define"
            if not used_outside(found[1], (name, body)) and not (found[3] != ";" and WORDS[name][found[1]] > 1):
                yield name, line, f"nobody else uses {found[1]}"
        for found in VARIABLE.finditer(code):
            if found[1] == "extern" and not WORDS.get(body, Counter())[found[2]]:
                yield name, line_of(code, found.start(2)), f"declares {found[2]}, which {body} does not define"
            if not used_outside(found[2], (name, body)) and WORDS[name][found[2]] < 2:
                yield name, line_of(code, found.start(2)), f"nobody else uses {found[2]}"
        for found in METHOD.finditer(code):
            words = sum(words[found[1]] for words in WORDS.values())
            if words < (3 if found[3] == ";" else 2):
                yield name, line_of(code, found.start(1)), f"nobody calls {found[1]}"


def contract() -> Iterator[Remark]:
    """Every function that the library exports has a caller, and is defined in abi/."""
    callers = ("socketify/", "bench/", "tests/native/test_abi.py")
    python = "\n".join(text for name, text in SOURCES.items() if name.startswith(callers) and name not in GENERATED)
    called = set(re.findall(r"\bsk_\w+", python))
    cpython = [words for name, words in WORDS.items() if name.startswith(SHIM + "cpython/")]
    definitions = [code for name, code in CODE.items() if name.startswith(SHIM + "abi/")]
    for name in CONTRACT:
        for found in re.finditer(r"^SK_API [\w *]*?\b(sk_\w+)\(", CODE[name], re.MULTILINE):
            line = line_of(CODE[name], found.start(1))
            if found[1] not in called and not any(words[found[1]] for words in cpython):
                yield name, line, f"nobody calls {found[1]}"
            # The build writes those that tell whether library and package are of the same headers.
            generated = f"{found[1]}() {{" in SOURCES["zig/build/generate_abi.py"]
            if not generated and not any(defines(code, found[1]) for code in definitions):
                yield name, line, f"{found[1]} is not defined in abi/"


def layer_1() -> Iterator[Remark]:
    """What zig/usockets adds to the engine's C API is there, and used."""
    name = "zig/usockets/usockets_ext.h"
    zig = "\n".join(text for file, text in SOURCES.items() if file.startswith("zig/usockets/") and file.endswith(".zig"))
    for found in re.finditer(r"\b(us_\w+)\([^;{}]*\);", CODE[name]):
        line = line_of(CODE[name], found.start(1))
        if f"{found[1]}(" not in zig and f'"{found[1]}"' not in zig:
            yield name, line, f"zig/usockets does not define {found[1]}"
        if not used_outside(found[1], (name,)):
            yield name, line, f"nobody uses {found[1]}"


def suite_names() -> Iterator[Remark]:
    """Files of tests are modules without a package: of two with one name, pytest takes one, and ends."""
    known: dict[str, str] = {}
    for name in SOURCES:
        module = Path(name).name
        if name.startswith("tests/") and module.startswith("test_") and known.setdefault(module, name) != name:
            yield name, 1, f"{known[module]} has this name already"


RULES = [layout, first_lines, guards, namespaces, includes, units, class_names, headers, contract, layer_1, suite_names]


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_sources_are_tidy(rule: Callable[[], Iterator[Remark]]) -> None:
    remarks = [f"{name}:{line}: {what}" for name, line, what in rule()]
    assert not remarks, "\n" + "\n".join(remarks)


def test_the_rules_see_what_they_look_for() -> None:
    """A pattern that matches nothing would find every source tidy."""
    declared = [found[1] for name in OF_SHIM if name.endswith(".h") for found in FUNCTION.finditer(CODE[name])]
    assert {"findSlot", "sendResponse", "newLatin1", "toLower"} <= set(declared)
    assert "cpython/asgi.cpp" in SOURCES["zig/build/Native.zig"]
    assert code_of('a /* b\n */ "c" // d\ne') == 'a     \n    ""     \ne'
