"""Cell types that become cell types, as flows whose width is the mass."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import class_color, f32, quiet_layout
from uotlab.views.sweep import tinted
from uotlab.views.texts import texts


@VIEWS.register("fate-flow")
class FateFlowView(View):
    """A band from each source type to each target type that it reaches."""

    title = "Fate flow"
    summary = "Bands from source types on the left to target types on the right; their width is the mass that goes there."
    needs = frozenset({"fates/P", "fates/mass"})
    order = 322
    options: ClassVar[dict[str, Any]] = {"equal_rows": False}

    def traces(self, arrays: Arrays, *, equal_rows=False, **_: Any) -> list[dict[str, Any]]:
        P = f32(arrays["fates/P"])
        value = P if equal_rows else P * f32(arrays["fates/mass"])[:, None]
        r, c = P.shape
        source, target = texts(arrays, "fates/source"), texts(arrays, "fates/target")
        every = [
            *texts(arrays, "fates/all"),
            *source,
            *target,
        ]  # a type has one colour on both sides, and that of the map where it is known
        known = {name: i for i, name in enumerate(dict.fromkeys(every))}
        colors = [class_color(known[name]) for name in (*source, *target)]
        rows, columns = np.divmod(np.arange(r * c), max(c, 1))
        node = {"label": [*source, *target], "color": colors, "pad": 10, "thickness": 16, "line": {"width": 0}}
        link: dict[str, Any] = {"source": rows.astype(np.int32), "target": (columns + r).astype(np.int32)}
        # a flow of nothing is no flow: bands below a thousandth of the whole are dropped by being 0
        shown = np.where(value < 1e-3 * max(float(value.sum()), 1e-30), 0, value)
        link |= {"value": f32(shown).ravel(), "color": [tinted(colors[i], 0.4) for i in rows]}
        link["hovertemplate"] = "%{source.label} → %{target.label}: %{value:.3f}<extra></extra>"
        return [{"type": "sankey", "name": "flow", "node": node, "link": link, "arrangement": "snap"}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        return quiet_layout()
