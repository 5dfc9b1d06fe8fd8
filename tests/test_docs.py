"""The documents against the code: every command parses, every example runs, every reference and link exists."""

import ast
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import uotlab
from uotlab.parameters import make_model

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(p for p in [*ROOT.glob("*.md"), *(ROOT / "assets").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
KEY = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b")
FAST = {"steps": 3, "n": 200}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def bibliography() -> dict[str, str]:
    text = (ROOT / "assets" / "references.bib").read_text(encoding="utf-8")
    return dict(re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL))


# ---- references ----------------------------------------------------------------------------------
def test_every_cited_key_is_in_the_bibliography() -> None:
    cited: dict[str, str] = {}
    for path in [*(ROOT / "uotlab").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                cited |= dict.fromkeys(KEY.findall(node.value), str(path.relative_to(ROOT)))
    assert cited
    missing = {key: where for key, where in cited.items() if key not in bibliography()}
    assert not missing, f"cited, but not in assets/references.bib: {missing}"


@pytest.mark.parametrize("registry", [uotlab.METHODS, uotlab.DATASETS], ids=lambda r: r.kind)
def test_reference_attributes_are_in_the_bibliography(registry) -> None:
    for name, cls in registry.items():
        for key in filter(None, re.split(r"[,;\s]+", cls.reference)):
            assert key in bibliography(), f"{registry.kind} {name} cites {key}"
    for name, cls in uotlab.METHODS.items():
        assert cls.reference, f"method {name} names no paper"


@pytest.mark.parametrize("key", bibliography())
def test_entries_are_whole(key: str) -> None:
    entry = bibliography()[key]
    for field in ("author", "title", "year"):
        assert re.search(rf"^\s*{field}\s*=\s*\{{.+\}},$", entry, flags=re.MULTILINE), f"{key} has no {field}"
    assert entry.count("{") == entry.count("}")
    year = re.search(r"^\s*year\s*=\s*\{(\d{4})\}", entry, flags=re.MULTILINE)
    assert year, f"{key} has no year"
    assert year[1] in key, f"{key}: its entry says {year[1]}"


# ---- README --------------------------------------------------------------------------------------
def quick(code: str) -> ast.Module:
    """The example with few steps and points: the numbers of `steps` and `n` keywords are made small."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in FAST:
            node.value = ast.Constant(FAST[node.arg])
    return ast.fix_missing_locations(tree)


def test_python_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("uotlab.methods.example")  # dataclasses and pydantic look their module up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names, before = vars(module), set(uotlab.METHODS)
    try:
        for code in blocks("python"):
            exec(compile(quick(code), "README.md", "exec"), names)
        added = set(uotlab.METHODS) - before
        assert added, "the README shows how to add a method"
        for name in added:
            fitted = uotlab.fit(name, names["p"], steps=3, batch_size=32)
            assert fitted.transport(names["x"]).shape == names["x"].shape
    finally:
        for name in set(uotlab.METHODS) - before:
            del uotlab.METHODS._classes[name]
    assert (tmp_path / "moons.pt").is_file()
    assert isinstance(names["r"], uotlab.Fitted)


def test_the_example_method_reads_like_one_file() -> None:
    (code,) = [c for c in blocks("python") if "METHODS.register" in c]
    assert len(code.splitlines()) <= 80


def commands(language: str = "bash") -> list[list[str]]:
    return [words for block in blocks(language) for line in block.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_real(words: list[str]) -> None:
    if words[0] == "make":
        found = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
        return
    assert words[:3] == ["python", "-m", "uotlab"], words
    from uotlab.__main__ import make_parser
    from uotlab.cli.words import settings_of

    given = make_parser().parse_args(words[3:])
    if words[3] == "barycenter":
        make_model(uotlab.BARYCENTERS[given.method], settings_of("--set", given.set, uotlab.BARYCENTERS[given.method]))
    elif words[3] == "cells":
        from uotlab.cli.cells import method_of

        assert uotlab.DATASETS[given.data].kind == "cells"
        for method in (given.run or "uotm").split(","):
            make_model(method_of(method), settings_of("--set", given.set, method_of(method)))
    elif words[3] == "sweep":
        from uotlab.cli.sweep import spec_of

        assert spec_of(given).size > 1
    elif hasattr(given, "method"):
        method, dataset = uotlab.METHODS[given.method], uotlab.DATASETS[given.dataset]
        make_model(method, settings_of("--set", given.set, method))
        make_model(dataset, settings_of("--data", given.data, dataset))


def test_make_targets_named_in_the_text_exist() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for path in DOCUMENTS:
        named = set(re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8")))
        assert named <= rules, f"{path.name} names make targets that do not exist: {named - rules}"


def test_the_method_table_is_the_registry() -> None:
    section = README.split("## The methods")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", section, flags=re.MULTILINE)) == set(uotlab.METHODS)


def test_every_environment_variable_is_told_and_read() -> None:
    sources = [*(ROOT / "uotlab").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py", ROOT / "tests" / "conftest.py"]
    pattern = re.compile(r"\bUOTLAB_[A-Z_]+\b")
    # names in strings that code looks up, docstrings aside
    read = {m for p in sources for m in re.findall(r"""["'](UOTLAB_[A-Z_]+)["']""", p.read_text(encoding="utf-8"))}
    told = set(pattern.findall(README))
    assert told <= read, f"README names variables that nothing reads: {sorted(told - read)}"
    assert read - {"UOTLAB_DATABASE_URL"} <= told, f"README does not name {sorted(read - told)}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_local_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors, f"{path.name} has no heading for #{anchor}"
