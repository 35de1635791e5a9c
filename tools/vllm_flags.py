"""Reads the flags of `vllm serve` out of vLLM's sources, without importing them.

vLLM makes its parser from annotations of config classes (vllm/engine/arg_utils.py, `_compute_kwargs`); the same
mapping, applied to the syntax tree, gives each flag its kind:

    switch    --x and --no-x             once      --x only
    int, size (10k, 1M), float, text     one value
    json      one value that is JSON     object    one value that is JSON or text
    maybe     --x or --x=value
    ["a","b"] one of these               {"words": KIND}  one or more values after the flag
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

Kind = Any
SIZES = ("max_model_len", "max_num_batched_tokens", "kv_cache_memory_bytes", "safetensors_prefetch_block_size")
"""Fields of type int for which arg_utils.py takes 10k or 1M."""
FRONTENDS = ("vllm.entrypoints.openai.cli_args", "vllm.entrypoints.launchers.cli_args")
"""Where FrontendArgs stands, up to vLLM 0.26 and after."""
WRAPPERS = ("Annotated", "SkipValidation", "InitVar", "Required")


class Module:
    """A parsed source file: its classes, its aliases of types, and where its other names come from."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        base = root / name.replace(".", "/")
        file = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        self.tree = ast.parse(file.read_text())
        self.package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        self.classes = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)}
        self.aliases: dict[str, ast.expr] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.aliases.setdefault(node.targets[0].id, node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                if ast.unparse(node.annotation).endswith("TypeAlias"):
                    self.aliases.setdefault(node.target.id, node.value)
            elif isinstance(node, ast.ImportFrom) and node.module:
                module = f"{self.package}.{node.module}" if node.level else node.module
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (module, alias.name)


@cache
def _module(root: Path, name: str) -> Module | None:
    try:
        return Module(root, name)
    except (FileNotFoundError, SyntaxError):
        return None


class Scope:
    """Looks names up the way Python would: in a module, then where it imports them from."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def find(self, name: str) -> tuple[ast.ClassDef | ast.expr | None, Scope]:
        """The class or alias of a name and the scope in which it stands."""
        if name in self.module.classes:
            return self.module.classes[name], self
        if name in self.module.aliases:
            return self.module.aliases[name], self
        if name in self.module.imports:
            where, original = self.module.imports[name]
            other = _module(self.module.root, where) if where.startswith("vllm") else None
            if other is not None:
                return Scope(other).find(original)
        return None, self


def _atoms(node: ast.expr, scope: Scope) -> list[Any]:
    """The alternatives of an annotation: names of builtins, ('literal', […]), ('class', dataclass?), (list, inner)."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return ["None"]
        return _atoms(ast.parse(str(node.value), mode="eval").body, scope)
    if isinstance(node, ast.BinOp):
        return _atoms(node.left, scope) + _atoms(node.right, scope)
    if isinstance(node, ast.Attribute):
        return _atoms(ast.Name(node.attr), scope)
    if isinstance(node, ast.Subscript):
        return _subscript(node, scope)
    if isinstance(node, ast.Name):
        if node.id in ("int", "str", "float", "bool", "dict", "list", "tuple", "set", "None"):
            return [node.id]
        found, where = scope.find(node.id)
        if isinstance(found, ast.ClassDef):
            config = any(d in ast.unparse(deco) for deco in found.decorator_list for d in ("config", "dataclass"))
            return [("class", config)]
        if found is not None and not isinstance(found, ast.Call):
            return _atoms(found, where)
        return [("class", False)]
    return [("class", False)]


def _subscript(node: ast.Subscript, scope: Scope) -> list[Any]:
    outer = ast.unparse(node.value).rpartition(".")[2]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Literal":
        return [("literal", [value for part in parts for value in _literals(part, scope)])]
    if outer == "Optional":
        return [*_atoms(parts[0], scope), "None"]
    if outer == "Union":
        return [atom for part in parts for atom in _atoms(part, scope)]
    if outer in WRAPPERS:
        return _atoms(parts[0], scope)
    if outer.lower() in ("list", "tuple", "set", "sequence"):
        return [("many", [atom for part in parts if not _is_ellipsis(part) for atom in _atoms(part, scope)])]
    if outer.lower() in ("dict", "mapping"):
        return ["dict"]
    if outer == "ClassVar":
        return [("class", False)]
    return [("class", False)]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _literals(node: ast.expr, scope: Scope) -> list[Any]:
    if isinstance(node, ast.Constant):
        return [node.value]
    atoms = _atoms(node, scope)
    return [value for atom in atoms if isinstance(atom, tuple) and atom[0] == "literal" for value in atom[1]]


def kind_of(name: str, annotation: ast.expr, scope: Scope) -> Kind:
    """The kind of the flag that vLLM makes of a field, in the order of its own tests."""
    atoms = _atoms(annotation, scope)
    simple = {atom for atom in atoms if isinstance(atom, str)}
    tagged = [atom for atom in atoms if isinstance(atom, tuple)]
    if ("class", True) in tagged:
        return "json"
    if simple == {"bool", "str", "None"} and not tagged:
        return "maybe"
    if "bool" in simple:
        return "switch"
    literals = [value for tag, value in tagged if tag == "literal"]
    if literals:
        if "str" in simple:  # vLLM shows the choices as metavar and takes any text
            return "text"
        return [value for values in literals for value in values] + (["None"] if "None" in simple else [])
    many = [inner for tag, inner in tagged if tag == "many"]
    if many:
        return {"words": "int" if many[0] and many[0][0] == "int" else "text"}
    if "list" in simple or "tuple" in simple or "set" in simple:
        return {"words": "text"}
    if "int" in simple:
        return "size" if name in SIZES else "int"
    if "float" in simple:
        return "float"
    if "dict" in simple:
        return "object" if "str" in simple or tagged else "json"
    return "text"


def fields_of(class_name: str, scope: Scope) -> dict[str, Kind]:
    """The fields of a config class and of its bases, with their kinds."""
    found, where = scope.find(class_name)
    if not isinstance(found, ast.ClassDef):
        return {}
    result: dict[str, Kind] = {}
    for base in found.bases:
        result |= fields_of(ast.unparse(base), where)
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            result[node.target.id] = kind_of(node.target.id, node.annotation, where)
    return result


def serve_flags(root: Path) -> tuple[dict[str, Kind], dict[str, str]]:
    """Every flag of `vllm serve` with its kind, sorted, and the short forms of flags."""
    engine, frontend = _module(root, "vllm.engine.arg_utils"), next(filter(None, (_module(root, m) for m in FRONTENDS)))
    assert engine
    flags: dict[str, Kind] = {}
    short: dict[str, str] = {}
    for class_name in ("EngineArgs", "AsyncEngineArgs"):
        _read_calls(_method(engine.classes[class_name], "add_cli_args"), Scope(engine), flags, short)
    for name, kind in fields_of("FrontendArgs", Scope(frontend)).items():
        flags[name.replace("_", "-")] = kind
    for node in ast.walk(frontend.tree):
        _customise(node, flags)
    parser = next(n for n in frontend.tree.body if isinstance(n, ast.FunctionDef) and n.name == "make_arg_parser")
    _read_calls(parser, Scope(frontend), flags, short)
    return dict(sorted(flags.items())), dict(sorted(short.items()))


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef:
    return next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == name)


def _read_calls(function: ast.FunctionDef, scope: Scope, flags: dict[str, Kind], short: dict[str, str]) -> None:
    """The calls of add_argument in a function; `kwargs["field"]` leads to a field of a config class."""
    tables: dict[str, dict[str, Kind]] = {}
    for node in ast.walk(function):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name) and ast.unparse(node.value.func) == "get_kwargs":
            tables[target.id] = fields_of(ast.unparse(node.value.args[0]), scope)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "add_argument":
            continue
        words = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
        names = [word for word in words if word.startswith("-")]
        long = [name[2:] for name in names if name.startswith("--")]
        if long:
            kind = _kind_of_call(node, tables)
            flags.update({name.replace("_", "-"): kind for name in long})
            short.update({name[1:]: long[0] for name in names if not name.startswith("--")})


def _kind_of_call(call: ast.Call, tables: dict[str, dict[str, Kind]]) -> Kind:
    kind: Kind = "text"
    for keyword in call.keywords:
        text = ast.unparse(keyword.value)
        if keyword.arg is None:
            for node in ast.walk(keyword.value):
                if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in tables:
                    kind = tables[node.value.id].get(ast.literal_eval(node.slice), "text")
        elif keyword.arg == "action" and text in ("'store_true'", "'store_false'"):
            kind = "once"
        elif keyword.arg == "action" and "BooleanOptionalAction" in text:
            kind = "switch"
        elif keyword.arg == "type" and text in ("int", "float"):
            kind = text
        elif keyword.arg == "type" and "json" in text:
            kind = "json"
        elif keyword.arg == "choices" and isinstance(keyword.value, ast.List):
            kind = ast.literal_eval(keyword.value)
        elif keyword.arg == "nargs" and text in ("'+'", "'*'"):
            kind = {"words": kind if kind in ("int", "float") else "text"}
    return kind


def _customise(node: ast.AST, flags: dict[str, Kind]) -> None:
    """`kwargs["field"]["type"] = json.loads` and the like of the frontend's special cases."""
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], ast.unparse(node.value)
    elif isinstance(node, ast.Delete):
        target, value = node.targets[0], ""
    else:
        return
    if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Subscript)):
        return
    if not isinstance(target.value.slice, ast.Constant) or not isinstance(target.slice, ast.Constant):
        return
    name, field = str(target.value.slice.value).replace("_", "-"), target.slice.value
    if name in flags:
        if field == "type" and value == "json.loads":
            flags[name] = "json"
        elif field == "nargs" and not value and isinstance(flags[name], dict):
            flags[name] = flags[name]["words"]
