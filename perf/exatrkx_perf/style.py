"""How the plots look: mplhep's ATLAS style, wider and with a colour for each way of running the pipeline."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_perf.errors import ToolMissingError
from exatrkx_perf.point import DIRECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes


INK: Final = "#2b2f36"
FAINT: Final = "#8a919c"
MODEL_COLOURS: Final = {DIRECT: "#5b6470", CUSTOM.name: "#0072b2", ENSEMBLE.name: "#d55e00"}
OTHER_COLOURS: Final = ("#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MODEL_MARKERS: Final = {DIRECT: "s", CUSTOM.name: "D", ENSEMBLE.name: "o"}

# One colour for each step, in the order in which an event passes them: networks warm or blue, graph steps green.
STEP_COLOURS: Final = {
    "embed": "#9ecae1",
    "frnn": "#74c476",
    "filter": "#4292c6",
    "applyfilter": "#a1d99b",
    "gnn": "#084594",
    "wcc": "#31a354",
    "exatrkx_custom": "#6baed6",
    "queue": "#fdae6b",
    "input and output": "#e6550d",
    "unexplained": "#bdbdbd",
}

_CHANGES: Final[dict[str, Any]] = {
    "font.sans-serif": ["TeX Gyre Heros", "Helvetica", "Nimbus Sans", "DejaVu Sans"],
    "font.size": 12,
    "axes.labelsize": 14,
    "axes.titlesize": 12,
    "axes.autolimit_mode": "data",
    "axes.axisbelow": True,
    "axes.labelpad": 6,
    "grid.color": "#eceef1",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "ytick.major.size": 7,
    "ytick.minor.size": 4,
    "legend.fontsize": 11,
    "lines.markersize": 6,
    "axes.prop_cycle": cycler(color=list(OTHER_COLOURS)),
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Within the `with`, figures are made in this style; matplotlib's settings are as before afterwards.

    Raises:
        ToolMissingError: mplhep is not installed.
    """
    try:
        import mplhep  # noqa: PLC0415 - results are measured and compared without it
    except ImportError as error:
        raise ToolMissingError("plots need mplhep: pip install 'exatrkx[perf]'") from error
    known = {name: value for name, value in mplhep.style.ATLAS.items() if name in mpl.rcParams}
    with mpl.rc_context(known | _CHANGES):
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of so many inches, and its array [rows, columns] of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def headline(axes: Axes, text: str) -> None:
    """What is shown, in small letters above the frame."""
    axes.set_title(text, loc="left", color=FAINT, fontsize=11)
