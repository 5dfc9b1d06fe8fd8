"""The architecture, checked: imports go down only, the page stays thin, and nothing outside a registry lists what is in it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# a module may import from its own layer and from those below; a module outside all of them is a mistake
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"registry", "errors", "arrays", "paths"}),
    frozenset({"problem", "costs", "divergences", "penalty", "parameters", "resampling"}),
    frozenset({"nets", "data", "plans.base"}),
    frozenset({"plans"}),
    frozenset({"metrics"}),
    frozenset({"methods"}),
    frozenset({"engine"}),
    frozenset({"cells", "recipes"}),
    frozenset({"cli", "__init__", "__main__"}),
    frozenset({"ui"}),
    frozenset({"pages", "app"}),
)
PURE = {"numpy", "plotly"}  #: all that a view may need
STANDARD = {"abc", "collections", "colorsys", "dataclasses", "functools", "itertools", "json", "math", "re", "typing", "__future__"}
LAZY = {"scanpy", "anndata", "sklearn", "ot", "umap", "pandas", "gseapy", "matplotlib", "streamlit", "numba", "pynndescent", "pykeops"}
PAGE_LINES, MODULE_LINES = 80, 400


def sources(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def module_name(path: Path) -> str:
    """Dotted name below the root: uotlab.plans.sinkhorn, uotlab (for its __init__), pages.lab, app."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Dotted names that a file imports, relative ones resolved; with `lazy=False` only what runs on import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes: list[ast.AST] = list(ast.walk(tree))
    if not lazy:
        inside = {
            child
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)
            for child in ast.walk(node)
        }
        nodes = [n for n in nodes if n not in inside]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(ROOT).parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def layer(name: str) -> int | None:
    """Height of a module of this project, None for others' modules; `views` is the page's own drawing board."""
    parts = name.split(".")
    if parts[0] == "uotlab":
        parts = parts[1:] or ["__init__"]
    elif parts[0] not in ("pages", "app"):
        return None
    for key in (".".join(parts[:2]), parts[0]):
        for height, names in enumerate(LAYERS):
            if key in names:
                return height
    return None


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


FILES = [*sources("uotlab"), *sources("pages"), *([ROOT / "app.py"] if (ROOT / "app.py").exists() else [])]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_imports_go_down_only(path: Path) -> None:
    name = module_name(path)
    if name.startswith("uotlab.views"):
        return
    height = layer(name)
    assert height is not None, f"{name} belongs to no layer: put it in one, or name its layer in this test"
    # `from uotlab import x` reads as uotlab and uotlab.x, of which the first is the package itself
    above = {i for i in imports(path) if i != "uotlab" and (other := layer(i)) is not None and other > height}
    upward = sorted(above)
    assert not upward, f"{name} imports from above: {', '.join(upward)}"


@pytest.mark.parametrize("path", sources("uotlab/views"), ids=lambda p: p.name)
def test_views_need_numpy_and_plotly_only(path: Path) -> None:
    allowed = PURE | STANDARD
    foreign = {
        i
        for i in imports(path)
        if i.split(".")[0] not in allowed and not i.startswith(("uotlab.views", "uotlab.registry", "uotlab.errors"))
    }
    assert not foreign - {"uotlab"}, f"a view is arrays in, figure out; {path.name} imports {sorted(foreign)}"


@pytest.mark.parametrize(
    "path", [p for p in FILES if "ui" not in p.relative_to(ROOT).parts and p.parent.name != "pages" and p.name != "app.py"], ids=shown
)
def test_only_the_page_imports_streamlit(path: Path) -> None:
    assert "streamlit" not in {i.split(".")[0] for i in imports(path)}, f"{path.relative_to(ROOT)} must work without a page"


@pytest.mark.parametrize("path", [p for p in FILES if layer(module_name(p)) != layer("uotlab.ui")], ids=shown)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    top = {i.split(".")[0] for i in imports(path, lazy=False)}
    if path.parent.name == "pages" or path.name == "app.py":
        top.discard("streamlit")
    assert not top & LAZY, f"{path.relative_to(ROOT)}: import {sorted(top & LAZY)} inside the function that needs it; it costs seconds"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_no_upper_module_lists_methods(path: Path) -> None:
    """One file adds a method: no list or dict of three or more of their names stands anywhere above."""
    from uotlab.methods.base import METHODS

    names = set(METHODS)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            items = node.keys if isinstance(node, ast.Dict) else node.elts
            held = {i.value for i in items if isinstance(i, ast.Constant) and i.value in names}
            assert len(held) < 3, f"{path.relative_to(ROOT)}:{node.lineno} lists methods {sorted(held)}; ask the registry"


def test_pages_are_thin() -> None:
    long = {p.name: n for p in sources("pages") if (n := len(p.read_text(encoding="utf-8").splitlines())) > PAGE_LINES}
    assert not long, f"a page is what a click does, at most {PAGE_LINES} lines: {long}"


def test_modules_are_readable_in_one_go() -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources("uotlab") if (n := len(p.read_text(encoding="utf-8").splitlines())) > MODULE_LINES}
    assert not long, f"at most {MODULE_LINES} lines a module: {long}"


def test_every_layer_is_named_once() -> None:
    names = [n for names in LAYERS for n in names]
    assert len(names) == len(set(names))
