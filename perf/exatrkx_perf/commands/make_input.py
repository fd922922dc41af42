"""Write events as input for perf_analyzer: `python perf/make_input.py EVENTS… --output events.json`.

The columns of FEATURES are those that the networks take: of a server that runs, of a model repository, or this
project's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.contract import ENSEMBLE
from exatrkx.events.readers import input_files
from exatrkx.files import check_outputs
from exatrkx.run_settings import asked, keep_settings
from exatrkx_client.credentials import Credentials, add_credentials_arguments
from exatrkx_perf import MODEL_REPOSITORY, OUTPUT
from exatrkx_perf.command_line import add_event_arguments, parser_of, run_command, server_address
from exatrkx_perf.events import features_of_repository, features_of_server, read_sample, write_input_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def write(options: argparse.Namespace) -> int:
    """Write the file, and say what is in it."""
    check_outputs([options.output], input_files(options.events))
    if options.url:
        taken = features_of_server(options.url, [options.model], Credentials.from_environment(options))
    else:
        taken = features_of_repository(options.model_repository)
    sample = read_sample(options.events, options.limit, options.spacepoints, taken)
    write_input_file(sample, options.output)
    sizes = sample.spacepoints
    print(f"{options.output}: {len(sample)} events of {sizes.min():,} to {sizes.max():,} spacepoints")
    keep_settings({**asked(options), "takes": str(taken)}, options.output)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf make-input events.parquet --output events.json")
    add_event_arguments(parser)
    add = parser.add_argument
    add("--output", type=Path, default=OUTPUT / "events.json", help="default: %(default)s")
    networks = parser.add_mutually_exclusive_group().add_argument
    networks("--url", type=server_address, help="of a server that will be measured")
    networks("--model-repository", type=Path, default=MODEL_REPOSITORY, help="default: that of this project")
    add("--model", default=ENSEMBLE.name, help="of the server (default: %(default)s)")
    add_credentials_arguments(parser)
    return run_command("make_input.py", write, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
