"""Report of a GPU check: every phase's results on one page, and as one JSON file."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, Final

from exatrkx.files import whole_file, write_files
from exatrkx.reporting.markdown import markdown_table
from exatrkx_perf.gpu_check.phases import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

REPORT: Final = "report.md"
FIGURES: Final = "report.json"
_RESULTS: Final = ("phases", "versions", "answers", "stages", "served", "bad")
_SWEEPS: Final = ("small", "large")
_KERNELS_SHOWN: Final = 12
_TEXT_SHOWN: Final = 160

Found = dict[str, Any]
"""Results by phase, as their JSON files have them; None where a phase left no file."""


def write_report(output: Path, device: str) -> Path:
    """Put the phases' JSON files together, and pack every log. Returns the page's path."""
    found: Found = {name: _read(output / f"{name}.json") for name in _RESULTS}
    found["device"] = device
    sweeps = {name: output / name / "results.csv" for name in _SWEEPS}
    found["sweeps"] = {name: path.read_text() for name, path in sweeps.items() if path.is_file()}
    write_json(output / FIGURES, found)
    with whole_file(output / "logs.tar.gz") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for path in sorted(output.rglob("*.log")):
            archive.add(path, str(path.relative_to(output)))
    write_files({output / REPORT: markdown(found).encode()})
    return output / REPORT


def markdown(found: Found) -> str:
    """The page."""
    versions = found["versions"] or {}
    packages = versions.get("packages", {})
    lines = [f"# GPU check: {versions.get('driver') or found['device']}", ""]
    if versions:
        lines += [
            f"{versions['cores']} cores ({versions['processor']}), Python {versions['python']}, torch "
            f"{packages.get('torch')} with CUDA {versions['torch_cuda']}, CuPy {versions['cupy']}, NumPy "
            f"{packages.get('numpy')}; server: {versions['server']}.",
            "",
        ]
    for section in (_phases, _answers, _stages, _served, _throughput, _bad):
        lines += section(found)
    return "\n".join(lines)


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [title, "", *markdown_table(header, rows), ""]


def _phases(found: Found) -> list[str]:
    rows = [
        (phase["name"], f"{phase['seconds']:.0f}", f"failed ({phase['code']})" if phase["code"] else "ok")
        for phase in found["phases"] or []
    ]
    return _section("## Phases", ("phase", "s", "outcome"), rows)


def _answers(found: Found) -> list[str]:
    header = (
        *("spacepoints", "tracks", "neighbours equal", "edges equal", "labels equal"),
        *("Δscore, median", "99 %", "largest", "largest between repeats", "edges over a cut: filter, GNN"),
    )
    equal = ("neighbours_equal", "edges_equal", "labels_equal")
    rows = [
        (
            f"{row['spacepoints']:,}",
            f"{row['tracks']:,}",
            *("yes" if row[key] else "no" for key in equal),
            *(f"{value:.1e}" for value in (*row["score_difference"], row["score_repeat"])),
            f"{row['filter_changes']}, {row['gnn_crossings']}",
        )
        for row in found["answers"] or []
    ]
    return _section("## Answers beside the CPU's", header, rows)


def _stages(found: Found) -> list[str]:
    events = found["stages"] or {}
    whole = ("first_ms", "whole_ms", "launches", "waits", "copies", "device_ms", "torch_peak_gb")
    rows = [(key, *(_number(event.get(key)) for event in events.values())) for key in whole]
    names = next(iter(events.values()))["stages_ms"] if events else ()
    rows += [(f"{name}, ms", *(_number(event["stages_ms"][name]) for event in events.values())) for name in names]
    lines = _section("## Stages of the direct pipeline", ("", *events), rows)
    for name, event in events.items():
        kernels = [
            (f"`{kernel['name'][:80]}`", f"{kernel['ms']:.3f}", kernel["launches"])
            for kernel in event.get("kernels", ())[:_KERNELS_SHOWN]
        ]
        lines += _section(f"### Kernels, {name}", ("kernel", "ms", "launches"), kernels) if kernels else []
    return lines


def _served(found: Found) -> list[str]:
    failed, rows = [], []
    for name, mode in (found["served"] or {}).items():
        if "error" in mode:
            failed += [f"{name}: {mode['error']}", ""]
            continue
        timed = [value for value in mode.values() if isinstance(value, dict)]
        rows.append(
            (
                name,
                f"{mode['ready_s']:.1f}",
                f"{mode['first_ms']:.0f}",
                f"{mode['events_equal']} of {mode['events']}",
                ", ".join(f"{value['median_ms']:.1f}" for value in timed),
                ", ".join(mode["memory_mib"]),
                len(mode["pool_warnings"]),
            )
        )
    header = ("server", "ready, s", "first event, ms", "labels equal", "small, large event, ms")
    return _section("## Served", (*header, "GPU memory, MiB", "pool warnings"), rows) + failed


def _throughput(found: Found) -> list[str]:
    lines = []
    for name, text in found["sweeps"].items():
        points = list(csv.DictReader(io.StringIO(text)))
        rows = [
            (
                point["model"],
                point["instances"],
                point["concurrency"],
                *(f"{float(point[key]):.1f}" for key in ("events_per_s", "mean_ms", "p99_ms", "busy_cores")),
                f"{100 * float(point['gpu_busy']):.0f}",
            )
            for point in points
        ]
        header = ("model", "instances", "in flight", "events/s", "mean ms", "99 % ms", "busy cores", "GPU busy, %")
        size = f"{float(points[0]['spacepoints_mean']):,.0f}" if points else name
        lines += _section(f"## Throughput by perf_analyzer, {size} spacepoints", header, rows)
    return lines


def _bad(found: Found) -> list[str]:
    rows = []
    for row in found["bad"] or []:
        lives = [value for key, value in row.items() if key.endswith("_lives")]
        text = row["outcome"].replace("\n", " ")[:_TEXT_SHOWN]
        rows.append((row["stages"], row["request"], text, _number(row.get("ms")), "yes" if all(lives) else "no"))
    header = ("stages", "request", "outcome", "ms", "right afterwards")
    return _section("## Bad, empty and crowded requests", header, rows)


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None
