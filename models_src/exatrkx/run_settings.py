"""Settings of a run: what decides its results, told in a line and kept beside its output as `NAME.settings.json`.

No time and no machine is in them, so that the same settings are the same bytes.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx import __version__
from exatrkx.files import write_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

SUFFIX: Final = ".settings.json"
_HASH: Final = re.compile(r"^([0-9a-f]{16})[0-9a-f]{48}$")


def keep_settings(settings: Mapping[str, object], *outputs: Path) -> None:
    """Print the settings, and write them beside each output.

    Args:
        settings: by name: numbers, texts, paths, and lists and mappings of them.
        outputs: as they have been written.

    Raises:
        OutputError: they cannot be written.
    """
    write_files(beside(settings, *outputs))
    print(told(settings))


def beside(settings: Mapping[str, object], *outputs: Path) -> dict[Path, bytes]:
    """What `write_files` takes to write them beside each output, a file or a folder; links are followed."""
    text = json.dumps({"exatrkx": __version__, **settings}, indent=1, ensure_ascii=False, default=str)
    places = [(output, Path(os.path.realpath(output))) for output in outputs]
    kept = [place for output, place in places if place.is_file() or place.is_dir() or not output.exists()]
    return {place.with_name(place.name + SUFFIX): f"{text}\n".encode() for place in kept}


def asked(options: argparse.Namespace, *without: str) -> dict[str, object]:
    """What a command line asks for, but for where it is to go and what `without` names."""
    return {name: value for name, value in sorted(vars(options).items()) if name not in {"output", *without}}


def told(settings: Mapping[str, object]) -> str:
    """A line with all that are set; a hash by its beginning."""
    return "settings:   " + ", ".join(f"{name} {value}" for name, value in _flat({"exatrkx": __version__, **settings}))


def _flat(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += _flat(value)
        elif isinstance(value, list | tuple):
            found.append((name, " ".join(map(str, value))))
        elif value is not None and value is not False:
            found.append((name, _HASH.sub(r"\1", str(value))))
    return found
