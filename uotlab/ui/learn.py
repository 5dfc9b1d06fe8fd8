"""The lessons of the page `learn`: divergences drawn, the one τ converted, a card a method, the two-points toy."""

import inspect
import math
import re
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
import torch

from uotlab.divergences import DIVERGENCES, Divergence
from uotlab.methods.base import METHODS, Method
from uotlab.paths import ASSETS
from uotlab.penalty import Convention, rho_from_tau, tau_from_rho
from uotlab.ui.open_lab import open_in_lab
from uotlab.views.base import PALETTE, SOURCE, TARGET
from uotlab.views.style import INK, axis, class_color, quiet_layout

RHOS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
FIRST = ("kl", "chi2", "tv", "balanced")  #: drawn when the page opens
TOP = 5.0  #: end of the drawn window


def chart(figure: go.Figure, key: str, alt: str) -> None:
    """A finished chart that follows the page's theme."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


# ---- divergences -----------------------------------------------------------------------------------
def divergences() -> None:
    """psi, its conjugate and the mass factor of each divergence, with a slider for rho."""
    st.markdown(
        "An unbalanced plan may create or destroy mass and pays for it: a point that keeps **s** times its mass pays ρ ψ(s). "
        "The conjugate ψ\\* is what the networks are trained with, and its slope is the **mass factor**, the scaling of a point."
    )
    names = list(DIVERGENCES)
    titles = {name: DIVERGENCES[name].title for name in names}
    first = [name for name in FIRST if name in names]
    chosen = st.pills("Divergences", names, selection_mode="multi", default=first, format_func=titles.get, key="divergences")
    rho = st.select_slider(
        "ρ, the weight of the divergence", RHOS, 1.0, key="divergence_rho", help="In units of the mean cost; larger holds mass tighter"
    )
    if not chosen:
        st.info("Choose at least one divergence above to see it drawn.")
        return
    colors = {name: class_color(i) for i, name in enumerate(names)}
    panels = (
        ("psi", r"Price of keeping s times the mass: ρ ψ(s)", "s", "ρ ψ(s)", [0, TOP]),
        ("star", r"Conjugate: ρ ψ\*(t/ρ)", "t", "ρ ψ*(t/ρ)", [-2, TOP]),
        ("factor", r"Mass factor: ψ\*′(t/ρ)", "t = gain − cost", "scaling", [0, TOP]),
    )
    for column, (kind, title, across, up, window) in zip(st.columns(3), panels, strict=True):
        with column:
            st.markdown(f"**{title}**")
            chart(divergence_figure(kind, chosen, rho, colors, across, up, window), f"chart_{kind}", f"{title} of {', '.join(chosen)}")
    for name in chosen:
        _divergence_card(DIVERGENCES[name]())


def divergence_figure(
    kind: str, names: list[str], rho: float, colors: dict[str, str], across: str, up: str, window: list[float]
) -> go.Figure:
    """One curve a divergence; nothing where it is infinite."""
    at = torch.linspace(0, TOP, 601, dtype=torch.float64) if kind == "psi" else torch.linspace(-4, 4, 801, dtype=torch.float64)
    figure = go.Figure(layout=quiet_layout(axis(across), axis(up, range=window), height=340, margin={"l": 44, "r": 8, "t": 8, "b": 40}))
    for name in names:
        psi: Divergence = DIVERGENCES[name]()
        value = rho * psi.psi(at) if kind == "psi" else rho * psi.star(at / rho) if kind == "star" else psi.star_grad(at / rho)
        drawn = np.where(torch.isfinite(value).numpy(), value.numpy(), np.nan)
        look = {"color": colors[name], "width": 2.5}
        figure.add_scatter(
            x=at.numpy(), y=drawn, name=psi.title, line=look, hovertemplate="%{x:.2f}: %{y:.3f}<extra>" + psi.title + "</extra>"
        )
        if kind == "psi" and int(torch.isfinite(value).sum()) == 1:  # the hard constraint is one point
            figure.add_scatter(x=[1], y=[0], mode="markers", marker={"color": colors[name], "size": 9}, showlegend=False, hoverinfo="skip")
    one = 1 if kind == "psi" else 0
    figure.add_vline(x=one, line={"color": INK, "width": 1, "dash": "dot"})
    return figure


def _divergence_card(psi: Divergence) -> None:
    with st.container(border=True):
        left, middle, right = st.columns([2, 4, 5], vertical_alignment="center")
        left.markdown(f"**{psi.title}**  \n:gray[`{psi.name}`]")
        middle.latex(rf"\psi(s)={psi.psi_latex}")
        right.latex(rf"\psi^*(t)={psi.star_latex}")
        st.caption(finiteness(psi))


def finiteness(psi: Divergence) -> str:
    """Where psi and psi* are finite, in words."""
    s = torch.tensor([0.0, 1.5, 50.0], dtype=torch.float64)
    at_zero, some, many = (bool(v) for v in torch.isfinite(psi.psi(s)))
    mass = {
        (True, True, True): "ψ is finite for every s ≥ 0: a point may vanish, at a finite price",
        (False, True, True): "ψ is infinite at s = 0: no point may vanish",
        (True, True, False): "ψ is infinite for large s: a point can grow to twice its mass at most",
        (True, False, False): "ψ is infinite for s > 1: no point can grow",
        (False, False, False): "ψ is finite at s = 1 only: every point keeps its mass",
    }.get((at_zero, some, many), "ψ is infinite for some s")
    bound = psi.recession
    dual = "ψ\\* is finite everywhere" if math.isinf(bound) else f"ψ\\* is finite for t {'≤' if psi.closed else '<'} {bound:.3g}"
    slope = "no price is high enough for growth without end" if math.isinf(bound) else f"far out, one more unit of mass costs {bound:.3g}"
    return f"{mass}. {dual}; {slope} (ψ′∞ = {'∞' if math.isinf(bound) else f'{bound:.3g}'})."


# ---- the one tau -----------------------------------------------------------------------------------
MORE, LESS = "Larger τ: **more** unbalanced", "Larger τ: **less** unbalanced"
TAUS: tuple[tuple[Convention, str, str, str, str], ...] = (
    ("cost-weight", "τ as cost weight", r"c=\tau\,|x-y|^2,\quad \rho=\frac{1}{\tau s}", MORE, "UOTM and its kin"),
    (
        "divergence-weight",
        "τ as divergence weight",
        r"\tfrac12|x-y|^2+\tau D_\psi,\quad \rho=\frac{2\tau}{s}",
        LESS,
        "unbalanced barycenters",
    ),
    (
        "sinkhorn",
        "τ as Sinkhorn exponent",
        r"\tau=\frac{\rho}{\rho+\varepsilon},\quad \rho=\frac{\varepsilon\tau}{1-\tau}",
        LESS,
        "UOT-FM, ott and moscot",
    ),
)
LEAST, MOST = 1e-4, 1e6


def _moved(which: Convention | None) -> None:
    """A number was changed: take rho from the τ that was moved, or as it stands, and write all the others."""
    state = st.session_state
    rho = state["tau_rho"] if which is None else rho_from_tau(which, state[f"tau_{which}"], state["tau_s"], state["tau_eps"])
    _spread(min(max(rho, LEAST), MOST))


def _spread(rho: float) -> None:
    state = st.session_state
    state["tau_rho"] = rho
    for convention, *_ in TAUS:
        state[f"tau_{convention}"] = tau_from_rho(convention, rho, state["tau_s"], state["tau_eps"])


def one_tau() -> None:
    """The three papers' τ and rho side by side; whichever is moved, the others follow."""
    st.markdown(
        "Three families of papers write τ and mean three things. The lab has one quantity: **ρ**, the weight of a marginal's divergence "
        "in units of the mean cost **s**. Change any number; the others say the same in their own words."
    )
    state = st.session_state
    if "tau_rho" not in state:
        state["tau_s"], state["tau_eps"] = 10.0, 0.05
        _spread(1.0)
    with st.container(border=True):
        columns = st.columns(3)
        wide = {"min_value": LEAST, "max_value": MOST, "format": "%.4g"}
        columns[0].number_input(
            "ρ", **wide, key="tau_rho", on_change=_moved, args=(None,), help="0.1 lets go easily, 100 holds nearly all mass"
        )
        help_s = "Mean of |x−y|² over all source and target points of your data"
        columns[1].number_input("Mean cost s", **wide, key="tau_s", on_change=_moved, args=(None,), help=help_s)
        help_eps = "Entropic temperature, in mean-cost units; only the Sinkhorn exponent needs it"
        columns[2].number_input("ε", 1e-4, 10.0, format="%.4g", key="tau_eps", on_change=_moved, args=(None,), help=help_eps)
    limits = {"cost-weight": (1e-12, 1e12), "divergence-weight": (1e-12, 1e12), "sinkhorn": (1e-9, 1 - 1e-9)}
    for column, (convention, title, formula, direction, who) in zip(st.columns(3), TAUS, strict=True):
        with column.container(border=True, height="stretch"):
            low, high = limits[convention]
            st.number_input(title, low, high, format="%.6g", key=f"tau_{convention}", on_change=_moved, args=(convention,))
            st.latex(formula)
            st.markdown(direction)
            st.caption(f"Used by {who}.")
    rho = state["tau_rho"]
    kept = math.exp(-1 / (2 * rho))
    st.markdown(f"With KL on both sides, two points as far apart as the mean cost still exchange **{kept:.1%}** of their mass at this ρ.")
    st.caption("Balanced transport is the limit ρ → ∞: the three τ then tend to 0, to infinity and to 1.")


# ---- methods ---------------------------------------------------------------------------------------
def methods() -> None:
    """A card a method: what it learns, its objective, its loss as it runs, its defaults."""
    names = list(METHODS)
    if not names:
        st.info("No method is installed. Put one file into uotlab/methods and reload the page.")
        return
    for name in names:
        _method_card(METHODS[name])


def _method_card(cls: type[Method]) -> None:
    with st.container(border=True, key=f"method_{cls.name}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"#### {cls.title} :gray-badge[{cls.family}]", width="content")
            open_in_lab("Open in the lab", method=cls.name)
        st.markdown(cls.summary)
        st.latex(cls.equation)
        st.caption(citation(cls.reference))
        with st.expander("The loss, as it runs"):
            for loss in cls.losses:
                st.code(inspect.getsource(loss), language="python")
            if not cls.losses:
                st.caption("This method names no loss function of its own.")
        with st.expander("Settings and their defaults"):
            st.dataframe(defaults(cls), hide_index=True, alt=f"Settings of {cls.title}")


def defaults(cls: type[Method]) -> list[dict[str, str]]:
    """Rows of setting, default and meaning."""
    rows = []
    for name, info in cls.model_fields.items():
        default = "" if info.default is None else "∞" if info.default == math.inf else str(info.default)
        rows.append({"setting": name, "default": default, "meaning": info.description or ""})
    return rows


@cache
def _bibliography() -> dict[str, dict[str, str]]:
    path = ASSETS / "references.bib"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    entries = re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", text, flags=re.S | re.M)
    return {key: dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", body, flags=re.M)) for key, body in entries}


def citation(key: str) -> str:
    """Authors, title, where and when of a key in references.bib; the key itself where it is not there."""
    entry = _bibliography().get(key)
    if entry is None:
        return key
    accents = str.maketrans({"{": "", "}": "", "\\": "", "'": "", '"': ""})
    fields = {k: v.replace(r"{\'e}", "é").replace(r"{\"u}", "ü").replace(r"{\"o}", "ö").translate(accents) for k, v in entry.items()}
    people = [name.split(",")[0] for name in fields.get("author", "").split(" and ")]
    who = people[0] + " et al." if len(people) > 2 else " and ".join(people)
    where = fields.get("booktitle") or fields.get("journal") or fields.get("publisher") or ""
    parts = [f"{who} ({fields.get('year', '')})", f"*{fields.get('title', '')}*", where]
    paper = (
        f" [arXiv:{fields['eprint']}](https://arxiv.org/abs/{fields['eprint']})"
        if re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", ""))
        else ""
    )
    return ". ".join(p for p in parts if p) + "." + paper


# ---- two points ------------------------------------------------------------------------------------
def transported(a: float, b: float, cost: Any, rho1: float, rho2: float) -> Any:
    """Mass p that moves between a δ_x and b δ_y at that cost under KL, p = exp((rho1 log a + rho2 log b - C) / (rho1 + rho2))."""
    return np.exp((rho1 * math.log(a) + rho2 * math.log(b) - np.asarray(cost)) / (rho1 + rho2))


def two_points() -> None:
    """The smallest unbalanced problem, in closed form: one point of mass a, one of mass b."""
    st.markdown(
        "The smallest unbalanced problem has one source point of mass *a* and one target point of mass *b*. With KL it has a closed form. "
        "Pull them apart, or lower ρ, and watch them let go of each other."
    )
    columns = st.columns(4)
    distance = columns[0].slider("Distance", 0.0, 4.0, 1.0, 0.05, key="toy_distance")
    rho = columns[1].select_slider("ρ", RHOS, 1.0, key="toy_rho")
    a = columns[2].slider("Source mass a", 0.1, 3.0, 1.0, 0.1, key="toy_a")
    b = columns[3].slider("Target mass b", 0.1, 3.0, 1.0, 0.1, key="toy_b")
    p = float(transported(a, b, distance**2, rho, rho))
    left, right = st.columns(2, gap="medium")
    with left:
        chart(_two_point_figure(distance, a, b, p), "toy_points", f"Two points of mass {a} and {b}; {p:.2f} is transported")
        scales = st.columns(3)
        scales[0].metric("Transported p", f"{p:.3f}")
        scales[1].metric("Source scaling", f"{p / a:.3f}")
        scales[2].metric("Target scaling", f"{p / b:.3f}")
    with right:
        chart(_decay_figure(distance, a, b, rho, p), "toy_decay", "Transported mass against distance for several weights rho")
    st.latex(r"p=\exp\frac{\rho_1\log a+\rho_2\log b-C}{\rho_1+\rho_2}\;=\;\sqrt{ab}\,e^{-C/(2\rho)}\quad(\rho_1=\rho_2=\rho)")
    st.caption("C is the squared distance, in units of the mean cost.")


def _two_point_figure(distance: float, a: float, b: float, p: float) -> go.Figure:
    size = 46.0
    figure = go.Figure(
        layout=quiet_layout(axis("position", range=[-1, 5]), {"visible": False, "range": [-1, 1]}, height=300, showlegend=False)
    )
    figure.add_scatter(
        x=[0, distance], y=[0, 0], mode="lines", line={"color": INK, "width": 1 + 6 * min(p, 3)}, opacity=0.5, hoverinfo="skip"
    )
    for x, mass, color in ((0.0, a, SOURCE), (distance, b, TARGET)):
        ring = {"size": size * math.sqrt(mass), "color": "rgba(0,0,0,0)", "line": {"color": color, "width": 2}}
        figure.add_scatter(x=[x], y=[0], mode="markers", marker=ring, hovertemplate=f"mass {mass:.2f}<extra></extra>")
        disc = {"size": size * math.sqrt(p), "color": color, "opacity": 0.75}
        figure.add_scatter(x=[x], y=[0], mode="markers", marker=disc, hovertemplate=f"transported {p:.3f}<extra></extra>")
    return figure


def _decay_figure(distance: float, a: float, b: float, rho: float, p: float) -> go.Figure:
    at = np.linspace(0, 4, 201)
    layout = quiet_layout(axis("distance"), axis("transported mass p", rangemode="tozero"), height=380, showlegend=False)
    figure = go.Figure(layout=layout)
    for other in RHOS:
        chosen = other == rho
        look = {"color": PALETTE[2] if chosen else INK, "width": 3.5 if chosen else 1}
        curve = transported(a, b, at**2, other, other)
        label = f"ρ = {other:g}"
        figure.add_scatter(
            x=at, y=curve, line=look, opacity=1 if chosen else 0.45, name=label, hovertemplate="%{y:.3f}<extra>" + label + "</extra>"
        )
    figure.add_scatter(x=[distance], y=[p], mode="markers", marker={"size": 12, "color": PALETTE[2]}, hoverinfo="skip")
    return figure
