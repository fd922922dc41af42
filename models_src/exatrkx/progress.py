"""Progress bars: on standard error where that is a terminal, and nothing in a log."""

from __future__ import annotations

from functools import partial
from typing import Final

from tqdm import tqdm

bar: Final = partial(tqdm, disable=None, unit="event")
"""tqdm, of events unless `unit` says otherwise; every command that may take more than two seconds has one."""
