"""Plot style: mplhep's ATLAS style, with other sizes, fonts and colours."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # matplotlib brings it

from exatrkx.errors import ExatrkxError
from exatrkx.files import named, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

INK: Final = "#2b2f36"
FAINT: Final = "#8a919c"
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Told apart by the colour-blind, too. Source: Okabe and Ito, Color Universal Design (2008)."""

_CHANGES: Final[dict[Any, Any]] = {
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
    "axes.prop_cycle": cycler(color=list(COLOURS)),
}


def settings() -> dict[Any, Any]:
    """Matplotlib's settings of this style.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    try:
        import mplhep  # noqa: PLC0415 - only plots need it
    except ImportError as error:
        raise ExatrkxError("plots need mplhep: pip install 'exatrkx[perf]'") from error
    known: dict[Any, Any] = {name: value for name, value in mplhep.style.ATLAS.items() if name in mpl.rcParams}
    return known | _CHANGES


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Within the `with`, figures are made in this style; matplotlib's settings are as before afterwards.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    with mpl.rc_context(settings()):
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of so many inches, and its array [rows, columns] of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure: Figure, path: Path) -> None:
    """Write the figure, in the format that the file's name says, into a folder that is made if it is not there.

    Raises:
        OutputError: it cannot be written.
        ValueError: matplotlib does not know that format.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix.removeprefix(".") or "png", dpi=150)
    _write(path, drawn)


def save_small(figure: Figure, path: Path, dpi: float = 110.0, colours: int = 64) -> None:
    """The same for a PNG that a repository keeps: fewer dots, and few colours, in a third of the bytes."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    with Image.open(drawn) as image:
        small = io.BytesIO()
        image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    _write(path, small)


def _write(path: Path, drawn: io.BytesIO) -> None:
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_files({path: drawn.getvalue()})


def headline(axes: Axes, text: str) -> None:
    """What is shown, in small letters above the frame."""
    axes.set_title(text, loc="left", color=FAINT, fontsize=11)
