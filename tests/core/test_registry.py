"""Registries: forgiving look-up, helpful refusal, one-file plug-ins."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from uotlab.costs import COSTS
from uotlab.data.base import DATASETS
from uotlab.divergences import DIVERGENCES
from uotlab.errors import InputError, UnknownName
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS
from uotlab.registry import Registry
from uotlab.views.base import VIEWS

ALL = [METHODS, DATASETS, DIVERGENCES, COSTS, METRICS, VIEWS]


@pytest.mark.parametrize("registry", ALL, ids=lambda r: r.kind)
def test_names_are_plain_and_lead_to_their_class(registry: Registry) -> None:
    assert len(registry) == len(list(registry)) > 0
    for name in registry:
        assert name == name.lower()
        assert " " not in name
        assert "_" not in name
        assert registry[name].name == name
        assert name in registry
        assert registry[name.replace("-", "").upper()] is registry[name]
        assert registry[name.replace("-", "_")] is registry[name]


@pytest.mark.parametrize("registry", [METHODS, DIVERGENCES, COSTS, METRICS, VIEWS], ids=lambda r: r.kind)
def test_every_class_can_be_made_without_arguments(registry: Registry) -> None:
    for name, cls in registry.items():
        assert cls().name == name


@pytest.mark.parametrize("registry", ALL, ids=lambda r: r.kind)
def test_a_slip_gets_the_nearest_name(registry: Registry) -> None:
    for name in registry:
        slip = name + "x"
        if slip in registry:
            continue
        with pytest.raises(UnknownName, match="Did you mean") as caught:
            registry[slip]
        assert registry.kind in str(caught.value)
        assert isinstance(caught.value, InputError)
        assert isinstance(caught.value, LookupError)


def test_nonsense_gets_the_whole_list() -> None:
    with pytest.raises(UnknownName, match=r"Choose one of: .*kl"):
        DIVERGENCES["0123456789"]
    assert "0123456789" not in DIVERGENCES


def test_the_issue_s_names_are_there() -> None:
    assert {"kl", "reverse-kl", "chi2", "hellinger", "js", "tv", "softplus", "softplus-raw", "balanced"} <= set(DIVERGENCES)
    assert {"sqeuclidean", "euclidean", "power", "cosine", "wfr", "feature"} <= set(COSTS)


def test_a_new_file_in_the_package_is_all_a_plug_in_needs(tmp_path, monkeypatch) -> None:
    package = tmp_path / "plugins_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("from uotlab.registry import Registry\nTHINGS = Registry('thing', __name__)\n")
    (package / "mine.py").write_text("from plugins_of_a_test import THINGS\n\n@THINGS.register('my-thing')\nclass Mine:\n    order = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        from plugins_of_a_test import THINGS

        assert list(THINGS) == ["my-thing"]
        assert THINGS["MyThing"].__name__ == "Mine"
        assert repr(THINGS) == "<thing registry: my-thing>"
        with pytest.raises(ValueError, match="taken by Mine"):
            THINGS.register("my-thing")(type("Other", (), {}))
    finally:
        for name in [n for n in sys.modules if n.startswith("plugins_of_a_test")]:
            del sys.modules[name]


def test_a_broken_plug_in_is_told_every_time(tmp_path, monkeypatch) -> None:
    package = tmp_path / "plugins_of_another_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "broken.py").write_text("raise RuntimeError('broken on purpose')\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("thing", "plugins_of_another_test")
    try:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="on purpose"):
                list(registry)
    finally:
        sys.modules.pop("plugins_of_another_test", None)


def test_two_threads_see_the_whole_list(tmp_path, monkeypatch) -> None:
    package = tmp_path / "plugins_of_threads"
    package.mkdir()
    (package / "__init__.py").write_text("from uotlab.registry import Registry\nTHINGS = Registry('thing', __name__)\n")
    for k in range(3):
        (package / f"m{k}.py").write_text(
            f"import time\nfrom plugins_of_threads import THINGS\ntime.sleep(0.05)\n\n@THINGS.register('t{k}')\nclass T: pass\n".replace(
                "class T", f"class T{k}"
            )
        )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        from plugins_of_threads import THINGS

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: list(THINGS), range(4))) == [["t0", "t1", "t2"]] * 4
    finally:
        for name in [n for n in sys.modules if n.startswith("plugins_of_threads")]:
            del sys.modules[name]


def test_order_then_name() -> None:
    assert list(DIVERGENCES) == sorted(DIVERGENCES, key=lambda n: (getattr(DIVERGENCES[n], "order", 100), n))
