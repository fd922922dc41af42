"""Event display: a figure of an event's spacepoints and the tracks found in them, across the beam and along it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import OutputRefusedError
from exatrkx.events.event import Event, IntArray
from exatrkx.files import write_files
from exatrkx_client.event_scene import colours, outward_ways

_NOISE: Final = "#b8bcc4"
_INK: Final = "#2b2f36"
_GRID: Final = "#eceef1"
_STYLE: Final[dict[Any, Any]] = {  # matplotlib types the keys one by one
    "font.size": 12,
    "axes.labelsize": 14,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
}

Points = npt.NDArray[np.float32]


def draw(event: Event, labels: IntArray) -> Figure:
    """A figure of two panels, x–y and r–z in mm: all spacepoints in grey, each track in a colour of its own.

    Args:
        event: N spacepoints.
        labels: [N] the number of the spacepoint's track, or a negative one for none.
    """
    tracks, on_a_track = len(np.unique(labels[labels > NOISE_LABEL])), np.count_nonzero(labels > NOISE_LABEL)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(16, 7), layout="constrained")
        FigureCanvasAgg(figure)
        across, along = figure.subplots(1, 2, width_ratios=[1, 1.28])
        _panel(across, np.stack([event.x, event.y]), event, labels)
        across.set(xlabel="x [mm]", ylabel="y [mm]", aspect="equal")
        _panel(along, np.stack([event.z, event.r]), event, labels)
        along.set(xlabel="z [mm]", ylabel="r [mm]", ylim=(0, None))
        # Both above the panels, where they hide no spacepoint.
        along.legend(handles=_legend(), loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
        across.set_title(
            f"Event {event.event_id}: {tracks:,} track candidates with {on_a_track:,} of {len(event):,} spacepoints",
            loc="left",
            fontsize=14,
            color=_INK,
        )
    return figure


def save(figure: Figure, file: Path) -> None:
    """Write the figure, in the format that the file's name says.

    Raises:
        OutputRefusedError: matplotlib does not know that format.
        OutputError: the file cannot be written.
    """
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=file.suffix.removeprefix(".") or "png", dpi=150)
    except ValueError as error:
        raise OutputRefusedError(f"{file}: {error}") from error
    write_files({file: drawn.getvalue()})


def _panel(axes: Axes, points: Points, event: Event, labels: IntArray) -> None:
    """One projection; `points` is [2,N]."""
    axes.set_axisbelow(True)
    axes.grid(color=_GRID, linewidth=0.8)
    noise_x, noise_y = points[:, labels <= NOISE_LABEL]
    axes.scatter(noise_x, noise_y, s=6, color=_NOISE, linewidths=0)
    _, ways = outward_ways(event, labels)
    if ways:
        colour = colours(len(ways))
        axes.add_collection(
            LineCollection([points[:, way].T for way in ways], colors=colour, linewidths=0.9, alpha=0.7)
        )
        x, y = points[:, np.concatenate(ways)]
        axes.scatter(x, y, s=11, c=np.repeat(colour, [len(way) for way in ways], axis=0), linewidths=0, zorder=3)
    axes.margins(0.03)


def _legend() -> list[Line2D]:
    track = Line2D([], [], color=colours(1)[0], marker="o", markersize=4, linewidth=1.2, label="track candidate")
    noise = Line2D([], [], color=_NOISE, marker="o", markersize=4, linewidth=0, label="spacepoint on no track")
    return [track, noise]
