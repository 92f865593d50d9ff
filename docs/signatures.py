"""Signatures and docstrings of jgmm's public names, read from the sources: shapes as they are written there."""

import ast
import re
from pathlib import Path

import jgmm
from jgmm import theory

PACKAGE = Path(jgmm.__file__).parent
MORE = {  # what public functions take and return, and what may be written outside jgmm
    "engine.runs.Batch": "jgmm.engine.runs:Batch",
    "engine.run.Record": "jgmm.engine.run:Record",
    "study.run.Report": "jgmm.study.run:Report",
    "contract.State": "jgmm.contract:State",
    "contract.Sample": "jgmm.contract:Sample",
    "contract.Noise": "jgmm.contract:Noise",
    "report.hook.Page": "jgmm.report.hook:Page",
}
PLACES = {**jgmm.PLACES, **MORE}
Definition = ast.FunctionDef | ast.ClassDef


def of(name: str) -> str:
    """A public name as a page has it: of a module all its public functions and classes."""
    module, _, value = PLACES[name].partition(":")
    if value:
        return _shown(name, *_definition(module, value))
    places = dict.fromkeys(_definitions(module), module)
    if module == theory.__name__:
        places = {member: f"{module}.{part}" for part, members in theory.PLACES.items() for member in members}
    found = {member: _definitions(place).get(member) for member, place in places.items()}
    return "\n\n".join(_shown(f"{name}.{member}", *definition) for member, definition in found.items() if definition)


def _text(module: str) -> str:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def _definitions(module: str) -> dict[str, tuple[Definition, list[str]]]:
    """The public functions and classes of a module, in their order, and the lines of the module."""
    text = _text(module)
    nodes = [node for node in ast.parse(text).body if isinstance(node, Definition) and node.name[0] != "_"]
    return {node.name: (node, text.splitlines()) for node in nodes}


def _definition(module: str, name: str) -> tuple[Definition, list[str]]:
    """A function or class of a module, or of the one that this module has it from."""
    if name in (definitions := _definitions(module)):
        return definitions[name]
    imports = [node for node in ast.parse(_text(module)).body if isinstance(node, ast.ImportFrom)]
    source = next(node.module for node in imports if name in [alias.name for alias in node.names])
    return _definition(str(source), name)


def _shown(name: str, node: Definition, lines: list[str]) -> str:
    """A heading, what a function takes and returns or a class holds, and the docstring."""
    if isinstance(node, ast.ClassDef):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        one_line = [lines[item.lineno - 1].strip() for item in fields if item.lineno == item.end_lineno]
        head = "\n    ".join([f"class {node.name}:", *one_line]) if one_line else f"class {node.name}"
        names = [item.target.id for item in fields if isinstance(item.target, ast.Name)]
    else:
        arguments, returns = _arguments(node.args), f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"{node.name}({', '.join(arguments)}){returns}"
        if len(head) > 90:
            head = f"{node.name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returns}"
        names = [item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)]
    said = ast.get_docstring(node)
    told = f"### `jgmm.{name}`\n\n```py\n{head}\n```" + (f"\n\n{prose(said, names)}" if said else "")
    own = node.body if isinstance(node, ast.ClassDef) else []
    methods = [item for item in own if isinstance(item, ast.FunctionDef) and item.name[0] != "_"]
    below = (_shown(f"{name}.{method.name}", method, lines).replace("###", "####", 1) for method in methods)
    return "\n\n".join([told, *below])


def prose(docstring: str, names: list[str]) -> str:
    """A docstring as Markdown: its paragraphs, those about arguments as lists, and what it indents as blocks.

    names: of arguments or fields, whose "name: what it is" is an entry of a list.
    """
    entry = (
        re.compile(rf"(?:(?<=[.;:]) |^)(?=(?:{'|'.join(map(re.escape, names))})(?:\([^)]*\))?: )") if names else None
    )
    blocks = []
    for paragraph in re.split(r"\n\s*\n", docstring.strip()):
        lines = paragraph.splitlines()
        if all(line.startswith("    ") for line in lines):
            blocks.append("```text\n" + "\n".join(line[4:] for line in lines) + "\n```")
            continue
        text = " ".join(line.strip() for line in lines)
        body, raises, faults = text.partition(" Raises ")
        pieces = [piece for piece in entry.split(body) if piece] if entry else [body]
        listed = [piece for piece in pieces if entry and entry.match(piece)]
        plain = [_escaped(piece) for piece in pieces if piece not in listed]
        blocks += plain + (["\n".join(_entry(piece) for piece in listed)] if listed else [])
        blocks += [_escaped(f"Raises {faults}")] if raises else []
    return "\n\n".join(blocks)


def _entry(piece: str) -> str:
    name, _, what = piece.partition(": ")
    return f"- **{_escaped(name)}**: {_escaped(what)}"


def _escaped(text: str) -> str:
    """Text outside backticks with its * _ < | [ ] escaped."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<|\[\]])", r"\\\1", part) for i, part in enumerate(parts))


def _arguments(args: ast.arguments) -> list[str]:
    """The arguments of a function, each with its annotation and default."""

    def one(argument: ast.arg, default: ast.expr | None) -> str:
        equals = " = " if argument.annotation else "="
        return ast.unparse(argument) + (f"{equals}{ast.unparse(default)}" if default else "")

    plain = [*args.posonlyargs, *args.args]
    defaults = [*[None] * (len(plain) - len(args.defaults)), *args.defaults]
    shown = [one(argument, default) for argument, default in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        shown.insert(len(args.posonlyargs), "/")
    if args.vararg:
        shown.append(f"*{ast.unparse(args.vararg)}")
    elif args.kwonlyargs:
        shown.append("*")
    shown += [one(argument, default) for argument, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return [*shown, *([f"**{ast.unparse(args.kwarg)}"] if args.kwarg else [])]
