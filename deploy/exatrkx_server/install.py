"""Installation command, `exatrkx install-server`: the Triton server of a wheel, for this Python environment."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from exatrkx.commands import command_parser, run_command
from exatrkx_server.errors import ServerSetupError
from exatrkx_server.installation import INSTALL_COMMAND, find_triton

if TYPE_CHECKING:
    from collections.abc import Sequence


def install(_options: argparse.Namespace) -> None:
    """Install the wheel with pip, without what it depends on, and look whether its server can run here.

    Raises:
        ServerSetupError: pip failed, or the server cannot run here; the text, or pip's own, says why.
    """
    done = subprocess.run([sys.executable, "-m", *INSTALL_COMMAND], check=False)
    if done.returncode != 0:
        raise ServerSetupError(f"{' '.join(INSTALL_COMMAND)} failed")
    print(find_triton().source)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = command_parser(
        "python -m exatrkx_server.install", (__doc__ or "").partition("\n")[0], "exatrkx install-server"
    )
    return run_command("install-server", lambda: install(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
