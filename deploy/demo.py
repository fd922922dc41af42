"""Demonstration (`make demo`): export the networks, serve them, find the tracks of bundled events, show one of them.

Every step is a command that a user can run, and is printed before it runs. The server listens on free ports of this
machine and is stopped at the end, whatever happens.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

from exatrkx.commands import EXIT_CODES, add_version, run_command

ROOT = Path(__file__).resolve().parents[1]
EVENTS = Path("data/events")
OUTPUT = Path("out/demo")
TRACKS = OUTPUT / "tracks.parquet"
PAGE = OUTPUT / "event.html"
DISPLAY = OUTPUT / "event.png"


def run(*command: str) -> None:
    """Print a command as the user would type it, and run it with this Python.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    print(f"\n$ python {shlex.join(command)}", flush=True)
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


def demo(_options: argparse.Namespace) -> None:
    """Export, serve, find and draw; where a step fails, exit with its code."""
    from exatrkx_server import ServerOptions, TritonServer  # noqa: PLC0415 - here, where what disturbs it is told

    began = time.monotonic()
    (ROOT / OUTPUT).mkdir(parents=True, exist_ok=True)
    try:
        run("export/trace_models.py")
        log_file = ROOT / OUTPUT / "tritonserver.log"
        print(f"\n$ python deploy/serve.py --free-ports --log-file {OUTPUT / log_file.name}", flush=True)
        with TritonServer(ROOT / "model_repository", ServerOptions(log_file=log_file)) as server:
            print(f"ready after {server.ready_after_s:.1f} s: gRPC {server.grpc_url}; {server.devices}", flush=True)
            url = ("--url", server.grpc_url)
            run("client/find_tracks.py", str(EVENTS), *url, "--output", str(TRACKS))
            run("client/event_display.py", str(EVENTS), str(TRACKS), "--scores", *url, "--output", str(PAGE))
        run("client/event_display.py", str(EVENTS), str(TRACKS), "--output", str(DISPLAY))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # it has said why
    print(f"\ndone in {time.monotonic() - began:.0f} s, the server is stopped; see {OUTPUT}/")


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo.py", description=(__doc__ or "").partition("\n")[0], epilog=EXIT_CODES)
    add_version(parser)
    return run_command("demo.py", lambda: demo(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
