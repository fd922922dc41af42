"""How the plots look: the project's style, with a colour for each way of running the pipeline and for each step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from cycler import cycler

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.errors import ExatrkxError
from exatrkx.reporting.plot_style import settings
from exatrkx_perf.errors import ToolMissingError
from exatrkx_perf.point import COMPILED_ENSEMBLE, DIRECT

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL_COLOURS: Final = {
    DIRECT: "#5b6470",
    CUSTOM.name: "#0072b2",
    COMPILED_ENSEMBLE: "#e69f00",
    ENSEMBLE.name: "#d55e00",
}
OTHER_COLOURS: Final = ("#009e73", "#cc79a7", "#56b4e9", "#f0e442")
MODEL_MARKERS: Final = {DIRECT: "s", CUSTOM.name: "D", COMPILED_ENSEMBLE: "^", ENSEMBLE.name: "o"}

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


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Within the `with`, figures are made in this style; matplotlib's settings are as before afterwards.

    Raises:
        ToolMissingError: mplhep is not installed.
    """
    try:
        known = settings()
    except ExatrkxError as error:
        raise ToolMissingError(str(error)) from error
    with mpl.rc_context(known | {"axes.prop_cycle": cycler(color=list(OTHER_COLOURS))}):
        yield
