"""Links in Markdown to the plots of a report."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAMPLES: Final = "samples"
"""The plot of efficiencies, rates and time against pile-up or sample."""

RATES: Final = "rates_eta"
"""The plot of fake and duplicate rate by η."""


def image_lines(plots: Mapping[str, Path], captions: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The line of Markdown that shows each plot, in the order of the captions.

    Args:
        plots: the files, by the names of the plots.
        captions: what each plot shows; of plots that are not there, too.
        folder: where the report is, from which the links are followed.
    """
    return {name: f"![{caption}]({_link(plots[name], folder)})" for name, caption in captions.items() if name in plots}


def _link(file: Path, folder: Path) -> str:
    return quote(os.path.relpath(file.resolve(), folder.resolve()).replace(os.sep, "/"))
