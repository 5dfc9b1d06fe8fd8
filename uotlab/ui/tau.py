"""The one τ: a slider for rho and the papers' three conventions beside it; whichever is moved moves the others."""

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from uotlab.errors import InputError
from uotlab.methods.base import Method
from uotlab.penalty import EPS, Convention, rho_from_tau, tau_from_rho

RHOS = (*(float(f"{10 ** (k / 10):.2g}") for k in range(-20, 31)), math.inf)
NAMES: dict[Convention, tuple[str, str]] = {
    "cost-weight": ("Cost weight", "τ multiplies the cost: c = τ·d(x, y). Larger τ is more unbalanced; 0 is balanced. τ = 1/(ρ s)."),
    "divergence-weight": (
        "Div. weight",
        "τ multiplies the divergence beside ½·d(x, y). Larger τ is less unbalanced; empty is balanced. τ = ρ s/2.",
    ),
    "sinkhorn": ("Sinkhorn τ", "τ = ρ/(ρ + ε) between 0 and 1. Larger τ is less unbalanced; 1 is balanced."),
}
HELP = (
    "ρ is the price of changing mass, in units of the mean cost of moving it. Small: outliers and surplus mass are let go. "
    "Large: nearly all mass is carried. ∞: all mass must be carried, classical (balanced) transport."
)


def rho_text(rho: float) -> str:
    """1000, 0.0142 or ∞: three digits, as much as tells two prices apart."""
    return "∞" if math.isinf(rho) else f"{float(f'{rho:.3g}'):g}"


def penalties(cls: type[Method], values: Mapping[str, Any], scale: float, eps: float | None) -> dict[str, float]:
    """The widgets of both sides (of the sides that the method relaxes).

    Args:
        values: present "rho1", "rho2", or "tau1", "tau2" in the convention of the method's paper.
        scale: s, the mean of the run's own unscaled cost.
        eps: the method's own eps, or None where it has none.

    Returns:
        "rho1", "rho2" of the relaxed sides.
    """
    sides = [side for side in (1, 2) if cls.relaxed[side - 1]]
    if not sides:
        st.caption(f"{cls.title} keeps both marginals exactly: all mass is carried, and there is no τ to choose.")
        return {}
    for side in sides:
        if f"rho.{side}" not in st.session_state:
            st.session_state[f"rho.{side}"] = _given(cls, values, side, scale, EPS if eps is None else eps)
    linked = len(sides) == 2
    if linked:
        if "rho.linked" not in st.session_state:
            st.session_state["rho.linked"] = st.session_state["rho.1"] == st.session_state["rho.2"]
        linked = st.toggle("Same on both sides", key="rho.linked", help="One ρ for source and target, or one each.")
        if linked:
            st.session_state["rho.2"] = st.session_state["rho.1"]
    groups = [(tuple(sides), "both sides")] if linked else [((side,), ("source side", "target side")[side - 1]) for side in sides]
    for group, name in groups:
        price(tuple(f"rho.{side}" for side in group), name, cls.convention, scale, EPS if eps is None else eps)
    note = f"Here the mean cost is s = {scale:.4g}"
    st.caption(note + (f" and ε = {eps:g}." if eps is not None else f"; this method has no ε, so the exponent is shown for ε = {EPS:g}."))
    return {f"rho{side}": float(st.session_state[f"rho.{side}"]) for side in sides}


def _given(cls: type[Method], values: Mapping[str, Any], side: int, scale: float, eps: float) -> float:
    """rho of one side as an address or a run has it: as rho or as the paper's tau."""
    tau = values.get(f"tau{side}")
    if tau is not None:
        return rho_from_tau(cls.convention, float(tau), scale, eps)
    rho = values.get(f"rho{side}")
    return float(cls.model_fields[f"rho{side}"].default if rho is None else rho)


def price(keys: tuple[str, ...], name: str, own: Convention, scale: float, eps: float) -> None:
    """The widgets of one ρ, held in the session under each of `keys`, which move together; `own` is the convention of the paper."""
    key = keys[0]
    rho = float(st.session_state[key])
    st.session_state[f"{key}.slider"] = nearest(rho)
    st.select_slider(
        f"Price of changing mass ρ, {name}: **{rho_text(rho)}**", RHOS, key=f"{key}.slider", format_func=rho_text,
        help=HELP, on_change=_moved, args=(keys, None, scale, eps),
    )  # fmt: skip
    st.caption("The same, as papers write τ")
    for column, (convention, (label, text)) in zip(st.columns(3), NAMES.items(), strict=True):
        held = f"{key}.{convention}"
        tau = tau_from_rho(convention, rho, scale, eps)
        st.session_state[held] = None if math.isinf(tau) else float(f"{tau:.6g}")
        mark = " ★" if own == convention else ""
        column.number_input(
            label + mark, min_value=0.0, max_value=1.0 if convention == "sinkhorn" else 1e9, value=None, step=0.01, format="%.3g",
            key=held, help=text + (" ★ is the convention of this method's paper." if mark else ""), placeholder="∞",
            on_change=_moved, args=(keys, convention, scale, eps),
        )  # fmt: skip


def _moved(keys: tuple[str, ...], convention: Convention | None, scale: float, eps: float) -> None:
    value = st.session_state[f"{keys[0]}.{convention or 'slider'}"]
    try:
        if convention is None:
            rho = float(value)
        elif value is None or (value == 0 and convention != "cost-weight"):
            rho = math.inf if value is None else RHOS[0]
        else:
            rho = rho_from_tau(convention, float(value), scale, eps)
    except InputError as error:
        st.session_state["sentence"] = str(error)
        return
    for key in keys:
        st.session_state[key] = min(max(rho, 1e-6), 1e6) if math.isfinite(rho) else math.inf


def nearest(rho: float) -> float:
    """The slider's place for any rho."""
    if math.isinf(rho):
        return math.inf
    return min(RHOS[:-1], key=lambda r: abs(math.log(r / rho)))
