"""`perf_analyzer` as one types it: a launcher in the Python environment's `bin`, in front of the program.

The launcher sets the path of the two libraries, and where a whole pipeline (`-m exatrkx_…`) is named without any input
it gives it the bundled events: random numbers, perf_analyzer's own default, are no collision event. Every other
argument goes through as it is.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

from exatrkx_perf.binary import PROGRAM, installed_program, is_elf, link_libraries
from exatrkx_perf.errors import ToolMissingError
from exatrkx_perf.events import read_sample
from exatrkx_perf.input_file import write_input_file
from exatrkx_perf.paths import EVENTS

_SCRIPT: Final = """\
#!/bin/sh
# perf_analyzer of tritonclient with the libraries that it needs; made by perf/install_perf_analyzer.py, which also
# makes it again.
program={program}
libraries={libraries}
events={events}
LD_LIBRARY_PATH=$libraries${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
export LD_LIBRARY_PATH
case " $* " in
*" --input-data"* | *" --shape"* | *" -z "*) ;;
*" -m exatrkx_"*)
    echo "perf_analyzer: no --input-data, so it sends the bundled events: $events" >&2
    set -- "$@" --input-data "$events"
    ;;
esac
exec "$program" "$@"
"""


def install_launcher(prefix: Path = Path(sys.prefix)) -> Path:
    """Put the launcher into an environment; again where a newly installed wheel has replaced it.

    Returns:
        The launcher's path.

    Raises:
        ToolMissingError: the environment has no perf_analyzer, or nothing that has its libraries.
    """
    launcher, program = prefix / "bin" / PROGRAM, installed_program(prefix)
    program.parent.mkdir(parents=True, exist_ok=True)
    if launcher.is_file() and is_elf(launcher):
        launcher.replace(program)
    if not program.is_file():
        raise ToolMissingError(f"no {PROGRAM} in {prefix}: pip install 'tritonclient[grpc,http]==2.50.0'")
    libraries = program.with_name(f"{PROGRAM}-libraries")
    if not link_libraries(libraries):
        raise ToolMissingError(f"nothing has the libraries of {PROGRAM}: pip install nvidia-pytriton==0.7.0")
    events = prefix / "share" / "exatrkx" / "events.json"
    write_input_file(read_sample([EVENTS]), events)
    paths = {"program": program, "libraries": libraries, "events": events}
    unfinished = launcher.with_name(f".{PROGRAM}.unfinished")
    unfinished.write_text(_SCRIPT.format_map({name: shlex.quote(str(path)) for name, path in paths.items()}))
    unfinished.chmod(0o755)
    unfinished.replace(launcher)
    return launcher
