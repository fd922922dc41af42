"""One point of a measurement: what is run, how it is called, and with how much of the machine."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Final

from exatrkx.contract import CUSTOM, ENSEMBLE

DIRECT: Final = "direct"
"""The model's name of the pipeline as a function call, without a server."""

COMPILED_ENSEMBLE: Final = f"{ENSEMBLE.name}:compiled"
"""The model's name of the ensemble on a server whose stages between the networks are compiled, too."""

MODELS: Final = (DIRECT, ENSEMBLE.name, COMPILED_ENSEMBLE, CUSTOM.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How much of a machine a pipeline is given; one server runs in one of them.

    Attributes:
        instances: of every served model; of the direct pipeline, how many of it there are. 0 where that is not known,
            as of a server that was found running.
        threads: computing threads of each process; 0 likewise.
    """

    instances: int = 1
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.instances} × {self.threads}" if self.instances else "as found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point, and which time it is measured; the names are columns of the results.

    Attributes:
        model: `direct`, a served model, or `COMPILED_ENSEMBLE`.
        backends: which implementation of which backends runs the model.
        protocol: grpc or http; none without a server.
        mode: sync or async clients; threads or processes without a server.
        shared_memory: none or system.
        concurrency: requests in flight; workers without a server.
        instances, threads: see `Configuration`.
        sample: name of the events.
        repeat: 0, 1, 2, … for the same point measured again.
    """

    model: str
    backends: str
    protocol: str = "grpc"
    mode: str = "sync"
    shared_memory: str = "none"
    concurrency: int = 1
    instances: int = 1
    threads: int = 1
    sample: str = ""
    repeat: int = 0

    @property
    def configuration(self) -> Configuration:
        return Configuration(instances=self.instances, threads=self.threads)

    @property
    def served(self) -> bool:
        return self.model != DIRECT

    @property
    def way(self) -> tuple[str, str, str]:
        """How it is called: protocol, mode, shared memory."""
        return (self.protocol, self.mode, self.shared_memory)

    @property
    def plain(self) -> bool:
        """Whether it is called in the way that models are compared by; without a server, as processes."""
        return self.way == (("grpc", "sync", "none") if self.served else ("none", "processes", "none"))

    def key(self) -> tuple[str, ...]:
        """What tells points apart, as text: the same for a point and for its row in a file."""
        return tuple(map(str, astuple(self)))

    def at_repeat(self, repeat: int) -> Point:
        return replace(self, repeat=repeat)

    def __str__(self) -> str:
        way = f"{self.protocol} {self.mode}" if self.served else self.mode
        memory = " shm" if self.shared_memory != "none" else ""
        return f"{self.model} {way}{memory} c={self.concurrency} i={self.instances} t={self.threads} #{self.repeat}"


def point_columns() -> tuple[str, ...]:
    """The columns of a results file that make its key."""
    return tuple(field.name for field in fields(Point))


def point_from_row(row: dict[str, str]) -> Point:
    """The point of a row; other columns are left alone.

    Raises:
        KeyError, ValueError: a column is missing, or has no number where one belongs.
    """
    numbers = {field.name for field in fields(Point) if field.type == "int"}
    return Point(**{name: int(row[name]) if name in numbers else row[name] for name in point_columns()})  # type: ignore[arg-type]  # by the field's own type


def point_row(point: Point) -> dict[str, object]:
    return asdict(point)
