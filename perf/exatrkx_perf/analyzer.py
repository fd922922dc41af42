"""One run of perf_analyzer: its command line, its end, and its own CSV file (`-f`, `--verbose-csv`)."""

from __future__ import annotations

import csv
import math
import resource
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from exatrkx_client.credentials import AUTHORIZATION, TRITON_PREFIX, Credentials, bearer
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.installation import find_program, program_environment
from exatrkx_perf.results import Figures
from exatrkx_perf.windows import read_windows
from exatrkx_server.processes import tethered
from exatrkx_server.secret_arguments import place_secrets

if TYPE_CHECKING:
    from exatrkx_client.address import Address

Mode = Literal["sync", "async"]
SharedMemory = Literal["none", "system"]

_STABLE_PERCENT: Final = 1_000_000  # of windows over the same events the mean is wanted, whatever their range
_WINDOWS: Final = 3  # perf_analyzer takes no fewer
_TIMEOUT_S: Final = 600.0
_TAIL: Final = 12
_TLS_FILES: Final = tuple(
    f"--ssl-grpc-{name}-file" for name in ("root-certifications", "private-key", "certificate-chain")
)
_HEADER: Final = "EXATRKX_PERF_HEADER"
_US_PER_MS: Final = 1e3
_LATENCIES: Final = {"mean_ms": "Avg", "p50_ms": "p50", "p90_ms": "p90", "p95_ms": "p95", "p99_ms": "p99"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTest:
    """What perf_analyzer is to do.

    Attributes:
        address: the server's; its protocol is the one that is measured.
        input_file: see `exatrkx_perf.events.write_input_file`.
        window: requests in each of three windows: a multiple of the number of events.
        mode: a thread for each request in flight, or one thread for all of them.
        shared_memory: whether tensors go through memory that client and server share.
        output_bytes: room for the largest output tensor; used with shared memory only.
        credentials: what the server asks for.
    """

    model: str
    address: Address
    input_file: Path
    window: int
    concurrency: int = 1
    mode: Mode = "sync"
    shared_memory: SharedMemory = "none"
    output_bytes: int = 0
    credentials: Credentials = field(default_factory=Credentials)


def command_line(test: LoadTest, csv_file: Path, program: str = "perf_analyzer") -> list[str]:
    """Program and arguments."""
    options = {
        "-m": test.model,
        "-i": test.address.protocol,
        "-u": test.address.target,
        "--input-data": test.input_file,
        "--measurement-mode": "count_windows",
        "--measurement-request-count": test.window,
        "--max-trials": _WINDOWS,
        "--stability-percentage": _STABLE_PERCENT,
        "--concurrency-range": test.concurrency,
        "-f": csv_file,
    }
    if test.shared_memory != "none":
        options |= {"--shared-memory": test.shared_memory, "--output-shared-memory-size": test.output_bytes}
    if test.address.secure:
        files = (test.credentials.ca, test.credentials.key, test.credentials.certificate)
        options |= {name: path for name, path in zip(_TLS_FILES, files, strict=True) if path is not None}
    if test.credentials.token:
        options["-H"] = f"${_HEADER}"
    words = (str(word) for option in options.items() for word in option)
    encrypted = ["--ssl-grpc-use-ssl"] * test.address.secure
    return [program, *words, *encrypted, f"--{test.mode}", "--verbose-csv", "-v"]


def run_analyzer(test: LoadTest) -> tuple[Figures, float]:
    """Run it to its end.

    Returns:
        Latencies as the clients saw them in all windows, throughput without the first, and perf_analyzer's own CPU
        time in s.

    Raises:
        ToolMissingError: perf_analyzer is not installed.
        MeasurementError: it failed or took too long; the text has the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="exatrkx-perf-") as scratch:
        csv_file = Path(scratch) / "perf_analyzer.csv"
        command = command_line(test, csv_file, str(find_program()))
        before = _children_cpu_s()
        code, output = _run(command, test)
        cpu_s = _children_cpu_s() - before
        if code != 0:
            raise MeasurementError(f"{test.model}: perf_analyzer ended with {code}: {_tail(output)}")
        figures = read_loads(csv_file).get(test.concurrency)
    windows = read_windows(output.splitlines())
    if figures is None or len(windows) != 1 or not windows[0].steady_per_s > 0.0:
        raise MeasurementError(f"{test.model}: perf_analyzer measured nothing: {_tail(output)}")
    return replace(figures, events_per_s=windows[0].steady_per_s), cpu_s


def _run(command: list[str], test: LoadTest) -> tuple[int, str]:
    """Exit code and output of perf_analyzer."""
    variables = dict(program_environment())
    if test.credentials.token:  # which every user could read on a command line
        prefix = "" if test.address.protocol == "http" else TRITON_PREFIX
        variables[_HEADER] = f"{prefix}{AUTHORIZATION}:{bearer(test.credentials.token)}"
        command = tethered(command)
    with subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            if test.credentials.token:
                place_secrets(process.pid)
            output, _ = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"{test.model}: no result after {_TIMEOUT_S:g} s") from error
        finally:
            process.kill()  # nothing, where it has ended
    return process.returncode, output


def read_loads(path: Path) -> dict[int, Figures]:
    """What the clients saw, by requests in flight: every line of perf_analyzer's CSV file.

    Raises:
        MeasurementError: the file is missing, empty, or not perf_analyzer's.
    """
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise MeasurementError(f"perf_analyzer wrote no {path.name}: {error.strerror}") from error
    if not rows:
        raise MeasurementError(f"{path}: no measurement in it")
    try:
        return {int(row["Concurrency"]): _figures(row) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"{path}: no file of perf_analyzer's: {error}; found {rows}") from error


def _figures(row: dict[str, str]) -> Figures:
    ms: dict[str, Any] = {
        name: _number(row.get(f"{column} latency")) / _US_PER_MS for name, column in _LATENCIES.items()
    }
    return Figures(events_per_s=float(row["Inferences/Second"]), requests=0, **ms)


def _number(text: str | None) -> float:
    """A number of µs; NaN for an absent or empty field, which perf_analyzer leaves where it has nothing to say."""
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _children_cpu_s() -> float:
    """CPU time of children that have ended: perf_analyzer's, as none other ends meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_TAIL:])
