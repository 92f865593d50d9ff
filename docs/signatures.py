"""Signatures and docstrings of jgmm's public names, read from the sources: shapes as they are written there."""

import ast
from pathlib import Path

import jgmm
from jgmm import theory

PACKAGE = Path(jgmm.__file__).parent
Definition = ast.FunctionDef | ast.ClassDef


def of(name: str) -> str:
    """A public name as a page has it: of a module all its public functions and classes."""
    module, _, value = jgmm.PLACES[name].partition(":")
    if value:
        return _shown(name, _definition(module, value))
    places = dict.fromkeys(_definitions(module), module)
    if module == theory.__name__:
        places = {member: f"{module}.{part}" for member, part in theory.MODULES.items()}
    nodes = {member: _definitions(place).get(member) for member, place in places.items()}
    return "\n\n".join(_shown(f"{name}.{member}", node) for member, node in nodes.items() if node)


def _parsed(module: str) -> list[ast.stmt]:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8")).body


def _definitions(module: str) -> dict[str, Definition]:
    """The public functions and classes of a module, in their order."""
    return {node.name: node for node in _parsed(module) if isinstance(node, Definition) and node.name[0] != "_"}


def _definition(module: str, name: str) -> Definition:
    """A function or class of a module, or of the one that this module has it from."""
    if name in (made := _definitions(module)):
        return made[name]
    imports = [node for node in _parsed(module) if isinstance(node, ast.ImportFrom)]
    source = next(node.module for node in imports if name in [alias.name for alias in node.names])
    return _definition(str(source), name)


def _shown(name: str, node: Definition) -> str:
    """A heading, what a function takes and returns or a class holds, and the docstring."""
    if isinstance(node, ast.ClassDef):
        fields = [ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign)]
        types = [ast.unparse(item.annotation) for item in node.body if isinstance(item, ast.AnnAssign)]
        lines = [f"{field}: {kind}" if len(kind) < 100 else field for field, kind in zip(fields, types, strict=True)]
        head = "\n    ".join([f"class {node.name}:", *lines]) if lines else f"class {node.name}"
    else:
        arguments, returns = _arguments(node.args), f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"{node.name}({', '.join(arguments)}){returns}"
        if len(head) > 90:
            head = f"{node.name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returns}"
    said = ast.get_docstring(node)
    return f"### `jgmm.{name}`\n\n```py\n{head}\n```" + (f"\n\n```text\n{said}\n```" if said else "")


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
