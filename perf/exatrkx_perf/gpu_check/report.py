"""The report of a check: every phase's results on one page, and as one JSON file."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, Final

from exatrkx_perf.gpu_check.phases import write_json

REPORT: Final = "report.md"
FIGURES: Final = "report.json"
_PHASES: Final = ("phases", "versions", "answers", "stages", "served", "bad")


def write_report(output: Path, device: str) -> Path:
    """Put the phases' JSON files together; also packs every log. Returns the report's path."""
    found = {name: _read(output / f"{name}.json") for name in _PHASES}
    found["device"] = device
    found["sweeps"] = {
        name: (output / name / "results.csv").read_text()
        for name in ("small", "large")
        if (output / name / "results.csv").is_file()
    }
    write_json(output / FIGURES, found)
    with tarfile.open(output / "logs.tar.gz", "w:gz") as archive:
        for path in sorted(output.rglob("*.log")):
            archive.add(path, str(path.relative_to(output)))
    (output / REPORT).write_text(markdown(found))
    return output / REPORT


def markdown(found: dict[str, Any]) -> str:
    """The page."""
    versions = found.get("versions") or {}
    card = versions.get("driver") or found["device"]
    parts = [
        f"# GPU check: {card}",
        "",
        *_phases(found),
        *_answers(found),
        *_stages(found),
        *_served(found),
        *_bad(found),
    ]
    return "\n".join(parts) + "\n"


def _phases(found: dict[str, Any]) -> list[str]:
    rows = [
        [p["name"], f"{p['seconds']:.0f}", "ok" if p["code"] == 0 else f"failed ({p['code']})"]
        for p in found["phases"] or []
    ]
    return ["## Phases", "", *_table(("phase", "s", "outcome"), rows)]


def _answers(found: dict[str, Any]) -> list[str]:
    rows = [
        [
            f"{row['spacepoints']:,}",
            f"{row['tracks']:,}",
            *("yes" if row[key] else "NO" for key in ("neighbours_equal", "edges_equal", "labels_equal")),
            str(row["labels_changed"]),
            *(f"{value:.1e}" for value in (*row["score_difference"], row["score_repeat"])),
            f"{row['filter_changes']} / {row['gnn_crossings']}",
        ]
        for row in found["answers"] or []
    ]
    header = (
        "spacepoints",
        "tracks",
        "neighbours equal",
        "edges equal",
        "labels equal",
        "labels changed",
        "|Δscore| median",
        "99 %",
        "largest",
        "largest between repeats",
        "edges over a cut: filter / GNN",
    )
    return ["## Answers beside the CPU's", "", *_table(header, rows)]


def _stages(found: dict[str, Any]) -> list[str]:
    lines = ["## Stages of the direct pipeline", ""]
    events = found["stages"] or {}
    header = ["", *events]
    keys = ["first_ms", "whole_ms", "launches", "waits", "copies", "allocations", "device_ms", "torch_peak_gb"]
    rows = [[key, *(_number(event.get(key)) for event in events.values())] for key in keys]
    names = next(iter(events.values()))["stages_ms"] if events else []
    rows += [[f"{name}, ms", *(_number(event["stages_ms"][name]) for event in events.values())] for name in names]
    lines += _table(header, rows)
    for name, event in events.items():
        kernels = [[f"`{k['name'][:90]}`", f"{k['ms']:.3f}", str(k["launches"])] for k in event.get("kernels", [])[:15]]
        if kernels:
            lines += [f"### Kernels, {name}", "", *_table(("kernel", "ms", "launches"), kernels)]
    return lines


def _served(found: dict[str, Any]) -> list[str]:
    lines = ["## Served", ""]
    rows = []
    for name, mode in (found["served"] or {}).items():
        if "error" in mode:
            lines += [f"{name}: {mode['error']}", ""]
            continue
        timed = [
            f"{value['median_ms']:.1f}" for value in mode.values() if isinstance(value, dict) and "median_ms" in value
        ]
        rows.append(
            [
                name,
                f"{mode['ready_s']:.1f}",
                f"{mode['first_ms']:.0f}",
                f"{mode['events_equal']} of {mode['events']}",
                " / ".join(timed),
                ", ".join(mode["memory_mib"]),
                str(len(mode["pool_warnings"])),
            ]
        )
    header = (
        "server",
        "ready, s",
        "first event, ms",
        "labels equal",
        "small / large event, ms",
        "GPU memory, MiB",
        "pool warnings",
    )
    return [*lines, *_table(header, rows)]


def _bad(found: dict[str, Any]) -> list[str]:
    rows = []
    for row in found["bad"] or []:
        lives = [str(value) for key, value in row.items() if key.endswith("_lives")]
        text = row["outcome"].replace("|", "\\|").replace("\n", " ")
        rows.append([row["stages"], row["request"], text[:160], _number(row.get("ms")), " / ".join(lives)])
    return [
        "## Bad, empty and crowded requests",
        "",
        *_table(("stages", "request", "outcome", "ms", "right afterwards: ensemble / custom"), rows),
    ]


def _table(header: Any, rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None
