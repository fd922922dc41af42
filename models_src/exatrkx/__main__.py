"""The command `exatrkx`: every command of the project as a subcommand, `exatrkx find EVENTS…` and so on.

Each is also what it was before: a script of the repository, or `python -m` and its module.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from exatrkx.commands import ALL, EXIT_CODES, add_version, run_command, run_module

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "simulate": ("exatrkx.simulation.__main__", "events with truth, made by Pythia 8 and ACTS"),
    "train": ("exatrkx.training.__main__", "networks, and their working point"),
    "validate": ("exatrkx.validation.__main__", "how good tracks are: report and plots"),
    "ckf": ("exatrkx.ckf.__main__", "tracks of the combinatorial Kalman filter of ACTS"),
    "export": ("exatrkx.serving.export", "networks as TorchScript in a model repository"),
    "install-server": ("exatrkx_server.install", "a Triton server for this Python environment"),
    "serve": ("exatrkx_server.serve", "a Triton server in the foreground"),
    "balancer": ("exatrkx_server.balancer", "haproxy or Envoy in front of several servers: their configuration"),
    "events": ("exatrkx.project_files", "where the bundled events are"),
    "find": ("exatrkx_client.find_tracks", "tracks of events, found by a server"),
    "batch": ("exatrkx_batch.__main__", "tracks of many files, found by a server for many workers"),
    "display": ("exatrkx_client.event_display", "a picture of an event and its tracks"),
    "acts": ("exatrkx_acts.__main__", "a server's tracks within ACTS, fitted and scored there"),
    "perf sweep": ("exatrkx_perf.commands.sweep", "measure many ways of running the pipeline"),
    "perf compare": ("exatrkx_perf.commands.compare", "compare what was measured, or a running server with it"),
    "perf direct": ("exatrkx_perf.commands.direct", "measure the pipeline as a function call"),
    "perf breakdown": ("exatrkx_perf.commands.breakdown", "where the time of a request goes"),
    "perf stages": ("exatrkx_perf.commands.stages", "time each stage beside libraries that do the same"),
    "perf figures": ("exatrkx_perf.commands.figures", "the project's own figures, on this machine"),
    "perf balance": ("exatrkx_perf.commands.balance", "what load balancing costs, and a slow server among others"),
    "perf batch": ("exatrkx_perf.commands.batch", "throughput of a batch beside that of one client"),
    "perf make-input": ("exatrkx_perf.commands.make_input", "events as input for perf_analyzer"),
    "perf install-analyzer": ("exatrkx_perf.commands.install_perf_analyzer", "make perf_analyzer run as one types it"),
}
"""Module of each subcommand, whose `main` takes the arguments after it and returns the exit code; and its purpose."""


def parser() -> argparse.ArgumentParser:
    """The command line of `exatrkx` itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    command = argparse.ArgumentParser(
        prog=ALL,
        usage=f"{ALL} [-h] [--version] COMMAND …",
        description="Charged-particle track finding as a service.\n\ncommands, each with its own --help:\n"
        + "\n".join(lines),
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(command)
    command.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the first words name. Returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in COMMANDS:
            module, _ = COMMANDS[name]
            sys.argv = [f"{ALL} {name}", *words[count:]]
            return run_module(name, module, words[count:])
    return run_command(ALL, lambda: other_words(words))


def other_words(words: list[str]) -> NoReturn:
    """End with what they ask for, --help or --version, or with what is wrong with them."""
    command = parser()
    group = [name for name in COMMANDS if name.startswith(f"{words[0]} ")] if words else []
    if not group:
        command.parse_args(words[:1])  # --help, --version
    asked = " ".join(words[:2] if group else words[:1])
    command.error(f"{asked or 'no command'}: known are {', '.join(group or COMMANDS)}")


if __name__ == "__main__":
    sys.exit(main())
