"""Training: the lab's pictures of the same run, curves and scaling first."""

import streamlit as st

from uotlab.ui.cells_scene import Scene
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.panel import picture
from uotlab.ui.sources import find


@SECTIONS.register("training")
class TrainingSection(Section):
    """The lab's pictures of the run."""

    title = "Training"
    order = 70
    live = True

    def show(self, scene: Scene) -> None:
        """The lab's own pictures, for a run; before one there is nothing to show."""
        source = find(scene.job.id) if scene.job is not None else None
        if source is None:
            st.info("Press Play: losses and scores are drawn here while the map learns.", icon=":material/play_arrow:")
            return
        picture(source, scene.job)
