"""Write socketify/native/abi.py from the C headers of the boundary, and for the library what a test compares it with.

The headers are the contract; this reads the part of C that they are written in, and refuses what it does not know rather than
pass over it. Two words of theirs say what C cannot: SK_UNCHECKED, and SK_CPYTHON before a member of sk_python.

Usage: python generate_abi.py                    writes socketify/native/abi.py
       python generate_abi.py --unit FILE        writes a C++ file for the library, and fails when abi.py is out of date
"""

from __future__ import annotations

import ast
import hashlib
import operator
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "zig" / "shim" / "abi" / "socketify.h"
ABI = ROOT / "socketify" / "native" / "abi.py"

LINE_MAX = 128
# What C calls it, and what ctypes does. Text that Python gives is bytes; text that it gets has a length of its own.
NUMBERS = {"int32_t": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64", "uint64_t": "c_uint64", "size_t": "c_size_t"}
POINTERS = {"const void *": "c_void_p", "void *": "c_void_p", "char *": "c_void_p"}
LIMITS = {"UINT64_MAX": 2**64 - 1}
OPERATORS: dict[type, Callable[..., int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.LShift: operator.lshift,
    ast.USub: operator.neg,
}


class HeaderError(Exception):
    """A header says something that this program does not read."""


class Function(NamedTuple):
    """A result and parameters, as ctypes has them."""

    result: str
    parameters: tuple[str, ...]


class Contract:
    """What the headers declare, in their order."""

    def __init__(self, text: str) -> None:
        #: Names without SK_, as Python has them.
        self.constants: dict[str, int | str] = {}
        #: By their names in Python.
        self.callbacks: dict[str, Function] = {}
        #: By their names in C: members and their types.
        self.structs: dict[str, dict[str, str]] = {}
        self.functions: dict[str, Function] = {}
        self.unchecked: list[str] = []
        #: Members of sk_python: what CPython calls them, of which the first that is there is taken.
        self.c_api: dict[str, tuple[str, ...]] = {}
        self._types = {**NUMBERS, **POINTERS}
        code = without_comments(text)
        #: Changes with everything that is declared, and with nothing else.
        self.digest = int.from_bytes(hashlib.sha256(" ".join(code.split()).encode()).digest()[:8], "big")
        code = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", code, flags=re.DOTALL)
        for statement in statements(code):
            self._read(statement)

    def _read(self, statement: str) -> None:
        for pattern, read in (
            (r"#define SK_(\w+) (.+)", self._read_constant),
            (r"enum(?: \w+)? \{(.*)\}", self._read_enumeration),
            (r"typedef struct (\w+) \{(.*)\} \1", self._read_struct),
            (r"typedef struct (\w+) \1", self._read_opaque),
            (r"typedef ([\w *]+?) ?\(\*(sk_\w+)_fn\)\((.*)\)", self._read_callback),
            (r"SK_API (SK_UNCHECKED )?([\w *]+?) ?(sk_\w+)\((.*)\)", self._read_function),
        ):
            match = re.fullmatch(pattern, statement)
            if match:
                read(*match.groups())
                return
        raise HeaderError(f"what is this: {statement}")

    def _read_constant(self, name: str, value: str) -> None:
        self.constants[name] = self._value(value)

    def _read_enumeration(self, body: str) -> None:
        following = 0
        for each in filter(None, (part.strip() for part in body.split(","))):
            name, _, value = each.partition(" = ")
            number = self._value(value) if value else following
            if not name.startswith("SK_") or not isinstance(number, int):
                raise HeaderError(f"not a constant of ours: {each}")
            self.constants[name[len("SK_") :]] = number
            following = number + 1

    def _read_struct(self, name: str, body: str) -> None:
        members: dict[str, str] = {}
        for each in filter(None, (part.strip() for part in body.split(";"))):
            function = re.fullmatch(r"SK_CPYTHON\(([\w, ]+)\) [\w *]+\(\*(\w+)\)\([^()]*\)", each)
            member = re.fullmatch(r"([\w *]+?)(\w+)", each)
            if function:
                members[function[2]] = "c_void_p"
                self.c_api[function[2]] = tuple(function[1].split(", "))
            elif member:
                members[member[2]] = self._type(member[1])
            else:
                raise HeaderError(f"what is this: {each}")
        self.structs[name] = members
        self._types[f"const {name} *"] = f"ctypes.POINTER({struct_class(name)})"

    def _read_opaque(self, name: str) -> None:
        self._types[f"{name} *"] = "ctypes.py_object" if name == "sk_object" else "c_void_p"

    def _read_callback(self, result: str, name: str, parameters: str) -> None:
        # Of what is given to Python, the length is passed: text is no C string.
        given = tuple("c_void_p" if each == "c_char_p" else each for each in self._parameters(parameters))
        kind = f"{python_name(name)}Callback"
        self.callbacks[kind] = Function(self._type(result), given)
        self._types[f"{name}_fn"] = kind

    def _read_function(self, unchecked: str | None, result: str, name: str, parameters: str) -> None:
        self.functions[name] = Function(self._type(result), self._parameters(parameters))
        if unchecked:
            self.unchecked.append(name)

    def _parameters(self, text: str) -> tuple[str, ...]:
        if text == "void":
            return ()
        return tuple(self._type(re.sub(r"\w+$", "", each.strip())) for each in text.split(","))

    def _type(self, text: str) -> str:
        kind = " ".join(text.replace("*", " * ").split())
        if kind == "void":
            return "None"
        if kind == "const char *":
            return "c_char_p"
        if kind not in self._types:
            raise HeaderError(f"unknown type: {kind}")
        return self._types[kind]

    def _value(self, text: str) -> int | str:
        """Return the value of a constant expression."""
        return self._evaluate(ast.parse(text.strip().replace("SK_", ""), mode="eval").body)

    def _evaluate(self, node: ast.expr) -> int | str:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, str)):
            return node.value
        if isinstance(node, ast.Name):
            return LIMITS[node.id] if node.id in LIMITS else self.constants[node.id]
        if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in OPERATORS:
            parts = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
            value: int = OPERATORS[type(node.op)](*map(self._evaluate, parts))
            return value
        raise HeaderError(f"not a constant: {ast.dump(node)}")


def read_header(path: Path) -> str:
    """Return a header with those of its own folder in the place of their includes."""

    def included(match: re.Match[str]) -> str:
        return read_header(path.with_name(match[1]))

    return re.sub(r'^#include "(\w+\.h)"$', included, path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def without_comments(text: str) -> str:
    """Return C without comments."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def statements(code: str) -> list[str]:
    """Return declarations, and definitions of constants, with single spaces; guards and the words above are left out."""
    found: list[str] = []
    pending = ""
    depth = 0
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("#"):
            macro = re.fullmatch(r"#define (SK_\w+) (.*\S)\s*", line)
            if macro and macro[1] != "SK_API":
                found.append(f"#define {macro[1]} {' '.join(macro[2].split())}")
            elif not macro and not re.match(r"#(ifndef|ifdef|endif|error|include <|define \w+(\(\.\.\.\))?\s*$)", line):
                raise HeaderError(f"what is this: {line}")
            continue
        for part in re.split(r"(?<=[{};])", line):
            pending += " " + part
            depth += part.count("{") - part.count("}")
            if part.endswith(";") and depth == 0:
                found.append(" ".join(pending[:-1].split()))
                pending = ""
    if pending.strip():
        raise HeaderError(f"unfinished: {pending}")
    return found


def python_name(name: str) -> str:
    """Return the name of a C type as that of a class."""
    return "".join("WebSocket" if word == "ws" else word.capitalize() for word in name.split("_")[1:])


def struct_class(name: str) -> str:
    """Return the name of a struct in Python."""
    return python_name(name) + "Struct"


def tuple_text(items: tuple[str, ...]) -> str:
    """Return a tuple as Python is written."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def entry(key: str, value: str) -> list[str]:
    """Return the line of an entry of a dict."""
    return [f'    "{key}": {value},']


def function_entry(name: str, function: Function) -> list[str]:
    """Return the lines of a function, laid out as ruff does."""
    parameters = tuple_text(function.parameters)
    short = entry(name, f"({function.result}, {parameters})")
    if len(short[0]) <= LINE_MAX:
        return short
    return [f'    "{name}": (', f"        {function.result},", f"        {parameters},", "    ),"]


def python_lines(contract: Contract) -> list[str]:
    """Return the text of abi.py."""
    lines = [
        '"""What the C headers of the native boundary say. Generated from them by zig/build/generate_abi.py: change those."""',
        "",
        "from __future__ import annotations",
        "",
        "import ctypes",
        "from ctypes import c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p",
        "",
        "#: Of all that the headers declare: a library that was built from others has another one.",
        f"DIGEST = 0x{contract.digest:016X}",
        "",
    ]
    for name, value in contract.constants.items():
        lines.append(f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"')
    lines.append("")
    for name, function in contract.callbacks.items():
        lines.append(f"{name} = ctypes.PYFUNCTYPE({', '.join((function.result, *function.parameters))})")
    for name, members in contract.structs.items():
        lines += ["", "", f"class {struct_class(name)}(ctypes.Structure):", f'    """``{name}``."""', "", "    _fields_ = ["]
        lines += [f'        ("{member}", {kind}),' for member, kind in members.items()]
        lines.append("    ]")
    lines += ["", "", "#: By their names in C.", "STRUCTS: dict[str, type[ctypes.Structure]] = {"]
    for name in contract.structs:
        lines += entry(name, struct_class(name))
    lines += ["}", "", "#: Name: result and parameters.", "FUNCTIONS: dict[str, tuple[object, tuple[object, ...]]] = {"]
    for name, function in contract.functions.items():
        lines += function_entry(name, function)
    lines += [
        "}",
        "",
        "#: Called without conversion by argument types: integers pass as C ints and bytes as pointers, in half the time.",
        "UNCHECKED = frozenset(",
        "    {",
        *(f'        "{name}",' for name in contract.unchecked),
        "    }",
        ")",
        "",
        "#: Members of ``sk_python``: what CPython calls them, of which the first that is there is taken.",
        "C_API: dict[str, tuple[str, ...]] = {",
    ]
    for member, names in contract.c_api.items():
        lines += entry(member, tuple_text(tuple(f'"{name}"' for name in names)))
    lines.append("}")
    return lines


def unit_lines(contract: Contract) -> list[str]:
    """Return the text of the C++ file: the digest of the headers, and what the compiler makes of structs and constants."""
    lines = [
        "/* Generated by zig/build/generate_abi.py. */",
        f'#include "{HEADER.parent.name}/{HEADER.name}"',
        "",
        "namespace {",
        "",
        "struct Hash {",
        "  uint64_t value = 0xcbf29ce484222325;",
        "",
        "  constexpr void add(uint64_t number) { value = (value ^ number) * 0x100000001b3; }",
        "  constexpr void add(const char *text) {",
        "    for (; *text; text++) {",
        "      add(static_cast<uint64_t>(static_cast<unsigned char>(*text)));",
        "    }",
        "  }",
        "  constexpr void add(const char *name, uint64_t first, uint64_t second) { add(name), add(first), add(second); }",
        "};",
        "",
        "constexpr uint64_t layout() {",
        "  Hash hash;",
    ]
    for name, value in contract.constants.items():
        if isinstance(value, int):
            lines.append(f'  hash.add("{name}", static_cast<uint64_t>(SK_{name}), 0);')
    for name, members in contract.structs.items():
        lines.append(f'  hash.add("{name}", sizeof({name}), 0);')
        lines += [f'  hash.add("{each}", offsetof({name}, {each}), sizeof({name}::{each}));' for each in members]
    return [
        *lines,
        "  return hash.value;",
        "}",
        "",
        "} // namespace",
        "",
        f"uint64_t sk_abi_digest() {{ return 0x{contract.digest:016X}; }}",
        "",
        "uint64_t sk_abi_layout() {",
        "  constexpr uint64_t value = layout();",
        "  return value;",
        "}",
    ]


def main(arguments: list[str]) -> int:
    """Do what the usage says; return the exit status."""
    try:
        contract = Contract(read_header(HEADER))
    except HeaderError as error:
        print(f"{HEADER}: {error}", file=sys.stderr)
        return 1
    python = "\n".join(python_lines(contract)) + "\n"
    if not arguments:
        ABI.write_text(python, encoding="utf-8")
        return 0
    if len(arguments) != 2 or arguments[0] != "--unit":
        print(__doc__, file=sys.stderr)
        return 2
    if not ABI.exists() or ABI.read_text(encoding="utf-8") != python:
        print(f"{ABI} is out of date: run python {Path(__file__).resolve().relative_to(ROOT)}", file=sys.stderr)
        return 1
    Path(arguments[1]).write_text("\n".join(unit_lines(contract)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
