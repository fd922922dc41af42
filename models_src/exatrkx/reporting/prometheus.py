"""Prometheus text format: families of metrics, as a server's page or as a file of the node exporter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Sample = tuple[Mapping[str, str], float]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics of one name.

    Attributes:
        name: without the suffixes of summaries and histograms.
        kind: what the number is.
        text: what it says, in one line.
        samples: labels and value of each, by the suffix of the name (`_sum`, `_count`, `_bucket`), which may be empty.
    """

    name: str
    kind: Literal["counter", "gauge", "summary", "histogram"]
    text: str
    samples: Mapping[str, Sequence[Sample]]

    def __str__(self) -> str:
        lines = [f"# HELP {self.name} {self.text}", f"# TYPE {self.name} {self.kind}"]
        for suffix, samples in self.samples.items():
            lines += [f"{self.name}{suffix}{_labels(labels)} {_number(value)}" for labels, value in samples]
        return "\n".join(lines) + "\n"


def exposition(families: Iterable[Family]) -> str:
    """What Prometheus reads."""
    return "".join(map(str, families))


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _number(value: float) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)
