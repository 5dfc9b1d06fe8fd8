"""What the pictures of cells show, from numbers with no analysis."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def genes(g: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    logfc = rng.normal(size=g)
    p = np.abs(logfc) * rng.gamma(2, 4, g)
    names = np.array([f"gene{i}" if i else "<b>tbx6</b>" for i in range(g)], dtype=str)
    return {
        "genes/logfc": f(logfc),
        "genes/p": f(p),
        "genes/adjusted": f(p * 0.7),
        "genes/chosen": np.arange(min(g, 3)),
        "names/genes": names,
    }


def dots(groups: int = 4, g: int = 9) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    names = {
        "names/dots/group": np.array([f"type {k}" for k in range(groups)], str),
        "names/dots/gene": np.array([f"g{k}" for k in range(g)], str),
    }
    return {"dots/mean": f(rng.gamma(1, 1, (groups, g))), "dots/share": f(rng.random((groups, g))), **names}


def terms(k: int = 12, null: int | None = 10) -> dict[str, np.ndarray]:
    found = {
        "terms/p": f(np.linspace(20, 2, k)),
        "names/terms": np.array([f"development of something long enough {i} (GO:{i:07d})" for i in range(k)], str),
    }
    return found if null is None else found | {"terms/null": f(np.linspace(1, 3, null))}


def graph(k: int = 6) -> dict[str, np.ndarray]:
    edges = [(0, 1), (0, 2), (2, 3)] if k > 3 else []
    found = {"graph/x": f(np.arange(k)), "graph/y": f(-(np.arange(k) % 3)), "graph/p": f(np.arange(k) + 2), "graph/hits": f(np.full(k, 4))}
    names = np.array([f"mesoderm development {i}" for i in range(k)], str)
    return found | {"graph/size": f(np.full(k, 9)), "graph/edges": np.array(edges, np.int32).reshape(-1, 2), "names/graph": names}


def growth(k: int = 5, *, truth: bool = True) -> dict[str, np.ndarray]:
    mean = 2.0 ** np.linspace(2, -2, k)
    found = {"growth/mean": f(mean), "growth/low": f(mean * 0.8), "growth/high": f(mean * 1.3), "growth/cells": f(np.arange(k) + 3)}
    found |= {"growth/truth": f(mean[::-1])} if truth else {}
    return found | {"names/growth": np.array([f"type {i}" for i in range(k)], str)}


def against(n: int = 300, k: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    names = {"names/against": np.array([f"type {i}" for i in range(k)], str), "names/against/title": np.array(["proliferation score"])}
    values = {"against/x": f(rng.normal(size=n)), "against/y": f(rng.gamma(2, size=n)), "against/class": f(rng.integers(0, max(k, 1), n))}
    return {**values, "against/spearman": f([0.4]), **names}


def fates(r: int = 4, c: int = 5) -> dict[str, np.ndarray]:
    P = np.random.default_rng(4).random((r, c))
    names = {
        "names/fates/source": np.array([f"type {i}" for i in range(r)], str),
        "names/fates/target": np.array([f"type {i}" for i in range(c)], str),
    }
    return {"fates/P": f(P / P.sum(1, keepdims=True)), "fates/mass": f(np.full(r, 1 / max(r, 1))), **names}


def velocity(n: int = 200, k: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    lines = np.cumsum(rng.normal(size=(k, 12, 2)), 1)
    lines[:, 9:] = np.nan
    points = {f"velocity/{side}": f(rng.normal(size=(n, 2))) for side in ("source", "target", "mapped")}
    return {**points, "velocity/arrows": f(rng.normal(size=(k, 2, 2))), "velocity/streams": f(lines)}


def plane(n: int = 300, kind: str = "scaling") -> dict[str, np.ndarray]:
    """Cells on an embedding, mapped, coloured in one of the four ways."""
    rng = np.random.default_rng(2)
    found = {"cells/x": f(rng.normal(size=(n, 2))), "cells/y": f(rng.normal(size=(n + 5, 2)) + 2), "cells/Tx": f(rng.normal(size=(n, 2)))}
    found |= {"names/cells/about": np.array(["UMAP 1", "UMAP 2", "colour", kind], str), "cells/chosen": found["cells/x"][: n // 3]}
    found |= {"cells/arrows": f(rng.normal(size=(7, 2, 2))), "cells/streams": f(rng.normal(size=(5, 9, 2)))}
    found["cells/streams"][1:, 6:] = np.nan
    if kind == "scaling":
        return found | {"cells/xi": f(rng.gamma(2, 0.5, n))}
    if kind == "role":
        return {k: v for k, v in found.items() if k != "cells/Tx"}
    value = {"cells/value": f(rng.integers(0, 3, n)), "cells/value_y": f(rng.integers(0, 3, n + 5))}
    return found | value | ({"names/cells/value": np.array(["a", "b", "<i>c</i>"], str)} if kind == "label" else {})


def conditions(k: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    names = {
        "names/conditions": np.array([f"drug {i}" for i in range(k)], str),
        "names/conditions/title": np.array(["L2", "otmg", "uotmg"]),
    }
    return {"conditions/x": f(rng.gamma(2, size=k)), "conditions/y": f(rng.gamma(2, size=k)), **names}


def shift(g: int = 80) -> dict[str, np.ndarray]:
    x = np.random.default_rng(6).normal(size=g)
    return {"shift/measured": f(x), "shift/predicted": f(x * 0.8 + 0.1), "names/shift": np.array([f"<b>{i}</b>" for i in range(g)], str)}


def quality(k: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    edges = np.linspace(0, 9, 11)
    limits = np.full((k, 2), np.nan)
    limits[:1, 0] = 3
    found = {"quality/heights": f(rng.integers(0, 99, (k, 10))), "quality/edges": f(np.tile(edges, (k, 1))), "quality/limits": f(limits)}
    return found | {"names/quality": np.array([f"a number <b>{i}</b>" for i in range(k)], str)}


def fate_map(n: int = 90) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    found = {"fate-map/cells": f(rng.normal(size=(n, 2))), "fate-map/mass": f(rng.gamma(1, 1, n)), "fate-map/chosen": f(rng.random((5, 2)))}
    return found | {"names/fate-map": np.array(["target", "<b>"], str), "names/fate-map/axes": np.array(["UMAP 1", "UMAP 2"], str)}


def cells_sweep(methods: int = 2, values: int = 4, measures: int = 5) -> dict[str, np.ndarray]:
    rng, rho = np.random.default_rng(7), np.append(10.0 ** np.arange(values - 1), np.inf)[:values]
    names = {"names/cells-sweep/curve": np.array([f"method {i}" for i in range(methods)], str)}
    names["names/cells-sweep/measure"] = np.array([f"a measure {i}" for i in range(measures)], str)
    value = f(rng.random((measures, methods * values)))
    return {
        "cells-sweep/rho": f(np.tile(rho, methods)),
        "cells-sweep/tau": f(np.tile(1 / (1 + 0.05 / rho), methods)),
        "cells-sweep/own": f([10.0, 10 / 10.05]),
        "cells-sweep/curve": np.repeat(np.arange(methods), values).astype(np.int32),
        "cells-sweep/value": value,
        "cells-sweep/spread": value * np.float32(0.1),
        **names,
    }


def holes(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Measures that one method does not have."""
    value = arrays["cells-sweep/value"].copy()
    value[1:, :2] = np.nan
    return arrays | {"cells-sweep/value": value}


CELLS = {f"cells by {kind}": plane(kind=kind) for kind in ("scaling", "role", "label", "number")} | {
    "one cell": plane(1),
    "quality": quality(),
    "quality without mitochondria": quality(2),
    "fate map": fate_map(),
    "no cell on the fate map": fate_map(0),
    "feature shift": shift(),
    "no feature": shift(0),
    "conditions": conditions() | cells_sweep(),
    "one condition": conditions(1) | cells_sweep(1, 1, 1),
    "no condition": conditions(0) | cells_sweep(0, 0, 0),
    "a sweep with holes": holes(cells_sweep()),
    "fates": fates() | velocity(),
    "one fate": fates(1, 1) | velocity(1, 1),
    "growth": growth() | against(),
    "growth of one type": growth(1, truth=False) | against(1, 1),
    "no growth": growth(0) | against(0, 0),
    "genes": genes() | dots() | terms() | graph(),
    "one gene": genes(1) | dots(1, 1) | terms(1, None) | graph(1),
    "no genes": genes(0) | dots(0, 0) | terms(0, 0) | graph(0),
}
