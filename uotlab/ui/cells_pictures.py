"""Finished figures of the page of cells, drawn by the live component as all pictures are."""

import hashlib
from collections.abc import Collection, Mapping

import numpy as np
import streamlit as st

from uotlab.engine.spec import Snapshot
from uotlab.ui.live import live
from uotlab.ui.panel import view_options
from uotlab.ui.sources import hold
from uotlab.ui.state import owner
from uotlab.views.base import VIEWS


def still(view: str, arrays: Mapping[str, np.ndarray], key: str, height: int = 400, skip: Collection[str] = ()) -> None:
    """One view of arrays that are there, with its options but `skip` and what it shows. `key` names its place on the page."""
    digest = hashlib.blake2b(digest_size=12)
    for name, values in sorted(arrays.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes() if values.dtype.kind in "fiub" else "\0".join(map(str, values)).encode())
    place = "-".join(key.split())
    options = view_options(view, dict(arrays), skip, key=f"{place}-options", prefix=f"v.{place}")
    picture = hold(Snapshot(0, 0, 0.0, {}, {}, dict(arrays), {}), f"cells {owner()} {key} {digest.hexdigest()}")
    live(picture, view, options, key=f"live-{place}", height=height, state="still", views=(view,))
    st.caption(VIEWS[view].summary)
