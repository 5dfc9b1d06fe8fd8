"""Plans side by side: balanced beside unbalanced, and a strip from balanced to very unbalanced."""

import math
from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.plan_parts import carried, chosen, given, message, panel, panels, ratio, said
from uotlab.views.style import INK, f32, quiet_layout

LEAST = 0.01  #: of the strongest pair's mass: less is not drawn in the strip


@VIEWS.register("plan-compare")
class PlanCompareView(View):
    """The balanced plan of the same problem on the left, the plan at hand on the right."""

    title = "Side by side"
    summary = "The same problem balanced (left) and with your ρ (right): which pairs go, and which points are let go."
    needs = frozenset({"x", "y", "P", "balanced/progress"})
    order = 46
    options: ClassVar[dict[str, Any]] = {"lines": ("1 a point", "2 a point", "100 strongest", "600 strongest")}

    def traces(self, arrays: Arrays, *, lines: str = "1 a point", **_: Any) -> list[dict[str, Any]]:
        P, (a, b) = f32(arrays["P"]), given(arrays)
        plans = [f32(arrays["balanced/P"]) if "balanced/P" in arrays else np.zeros_like(P), P]
        top = max(float(plan.max(initial=0.0)) for plan in plans)  # widths mean the same on both sides
        found = []
        for number, plan in enumerate(plans, start=1):
            r, c = carried(plan)
            found += panel(arrays, *chosen(plan, lines), ratio(r, a), ratio(c, b), number=number, top=top, legend=number == 1)
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        a = given(arrays)[0]
        share = float(f32(arrays["P"]).sum()) / max(float(a.sum()), 1e-30)
        ready = "balanced/P" in arrays
        left = "balanced: 100% carried" if ready else "balanced"
        why = said(arrays, "balanced")
        layout = quiet_layout(showlegend=True) | _placed(panels(arrays, [left, f"your ρ: {percent(share)} carried"], 2))
        if why or not ready:
            layout["annotations"].append(message(why or "solving") | {"x": 0.25, "font": {"size": 12, "color": INK}})
        return layout


@VIEWS.register("plan-strip")
class PlanStripView(View):
    """Eight plans of one problem along rho."""

    title = "τ strip"
    summary = "From balanced to very unbalanced: with a smaller ρ, far pairs are given up first. Above each: the mass still carried."
    needs = frozenset({"x", "y", "strip/rho", "strip/pairs"})
    order = 48
    options: ClassVar[dict[str, Any]] = {"columns": ("4 a row", "2 a row")}

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        found = []
        pairs, r, c = (f32(arrays[f"strip/{name}"]) for name in ("pairs", "source", "target"))
        top = float(pairs[..., 2].max(initial=0.0))  # widths mean the same in all panels, and no line stands for next to nothing
        for k in range(len(pairs)):
            held = pairs[k][pairs[k, :, 2] >= LEAST * top]
            rows, columns = (held[:, i].astype(np.intp) for i in (0, 1))
            rows, columns = rows.clip(0, len(arrays["x"]) - 1), columns.clip(0, len(arrays["y"]) - 1)
            found += panel(arrays, rows, columns, held[:, 2], r[k], c[k], number=k + 1, base=3.0, top=top, ink=0.55, legend=k == 0)
        return found

    def layout(self, arrays: Arrays, *, columns: str = "4 a row", **_: Any) -> dict[str, Any]:
        titles = []
        for rho, mass in zip(arrays["strip/rho"], arrays["strip/mass"], strict=True):
            name = "ρ = ∞" if not math.isfinite(rho) or rho > 1e20 else f"ρ = {rho:.3g}"
            titles.append(f"{name}: {percent(float(mass)) if math.isfinite(mass) else '…'}")
        layout = quiet_layout() | _placed(panels(arrays, titles, int(columns[0])))
        if why := said(arrays, "strip"):
            layout["annotations"].append(message(why))
        return layout


def percent(share: float) -> str:
    """12%, 0.34%, 0%, and less than a hundredth of a percent as such."""
    if 0 < share < 1e-4:
        return "< 0.01%"
    return f"{share:.0%}" if share >= 0.0995 or share <= 0 else f"{100 * share:.2g}%"


def _placed(layout: dict[str, Any]) -> dict[str, Any]:
    """Room above for titles and the legend."""
    return layout | {"margin": {"l": 12, "r": 12, "t": 40, "b": 12}}
