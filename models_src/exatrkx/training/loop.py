"""Training loop that the three networks share: seeded, resumable, with metrics on held-out events."""

from __future__ import annotations

import hashlib
import io
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from exatrkx.arrays import retain_freed_memory
from exatrkx.files import write_files
from exatrkx.progress import bar
from exatrkx.training.augmentation import augment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from exatrkx.training.events import TrainingEvent
    from exatrkx.training.recipes import Schedule


WARM_UP: Final = 0.1
"""The part of the one-cycle schedule in which the learning rate rises."""

CYCLE_BY_CLOCK: Final = 1_000_000
"""Places of the one-cycle schedule where the clock moves it on."""

LARGEST_GRADIENT: Final = 1.0
"""Norm to which the gradients of a step are clipped."""


class Task(Protocol):
    """Training task: a network, its loss and its evaluation."""

    @property
    def network(self) -> nn.Module:
        """The network in training."""

    @property
    def shown(self) -> Sequence[str]:
        """The figures, of those on held-out events, that people are shown."""

    def losses(self, event: TrainingEvent, parts: int) -> Iterator[Tensor]:
        """Scalar loss of one event; with more parts, of each in turn, which are used one after the other."""

    def evaluate(self, events: Sequence[TrainingEvent]) -> dict[str, float]:
        """Figures on held-out events."""


def identify_run(
    train: Sequence[TrainingEvent],
    valid: Sequence[TrainingEvent],
    schedule: Schedule,
    settings: Mapping[str, object] | None = None,
) -> str:
    """Hash by which a run is known: of the contents of all events, of the schedule and of the settings.

    Args:
        train: events to learn from.
        valid: held-out events.
        schedule: epochs, batch, rates, and the seed of the network's first weights.
        settings: what else decides, such as the networks that make the graphs; whatever JSON can hold.
    """
    parts = [
        json.dumps({"schedule": asdict(schedule), **(settings or {})}, sort_keys=True),
        *("train", *(event.hash for event in train)),
        *("valid", *(event.hash for event in valid)),
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def fit(
    task: Task,
    train: Sequence[TrainingEvent],
    valid: Sequence[TrainingEvent],
    schedule: Schedule,
    checkpoint: Path,
    *,
    settings: Mapping[str, object] | None = None,
) -> list[dict[str, float]]:
    """Train `task.network` in place; begins where `checkpoint` ends, if it was left by the same run.

    Args:
        task: loss and figures of one network.
        train: events to learn from, on the network's device.
        valid: held-out events.
        schedule: epochs, batch and rates.
        checkpoint: file with the state after each epoch; beside it, as `.jsonl`, the figures of each as JSON lines.
        settings: what else the run is known by, see `identify_run`.

    Returns:
        One dictionary of figures per epoch.
    """
    retain_freed_memory()
    progress = _Progress(task, len(train), schedule, identify_run(train, valid, schedule, settings))
    progress.resume(checkpoint)
    while not progress.finished:
        started = time.monotonic()
        loss = progress.epoch(train)
        task.network.eval()
        figures = {"loss": loss, **task.evaluate(valid), "seconds": time.monotonic() - started}
        # Plain numbers: a checkpoint is read back without running any code of its own.
        figures = {name: float(value) for name, value in figures.items()}
        progress.history.append({"epoch": len(progress.history), **figures})
        progress.save(checkpoint)
        shown = ", ".join(f"{name} {figures[name]:.4g}" for name in ("loss", *task.shown))
        print(f"{progress.title(len(progress.history))}: {shown}, {figures['seconds']:.1f} s")
    task.network.eval()
    return progress.history


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state of a training, with its hash as `run`; nothing where there is no file."""
    state: dict[str, Any] = torch.load(path, weights_only=True) if path.is_file() else {}
    return state


class _Progress:
    """Everything that an interrupted training needs in order to go on as if it had not been."""

    def __init__(self, task: Task, num_events: int, schedule: Schedule, run: str) -> None:
        self.task = task
        self.schedule = schedule
        self.run = run
        self.history: list[dict[str, float]] = []
        self.started = time.monotonic()
        self.optimizer = torch.optim.AdamW(
            task.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        steps = schedule.epochs * (num_events // schedule.batch) * schedule.parts
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            schedule.learning_rate,
            total_steps=max(1, steps) if schedule.minutes is None else CYCLE_BY_CLOCK,
            pct_start=WARM_UP,
        )

    @property
    def finished(self) -> bool:
        if self.schedule.minutes is None:
            return len(self.history) >= self.schedule.epochs
        return bool(self.history) and self.time_used >= 1.0

    @property
    def time_used(self) -> float:
        """The part of the schedule's minutes that has gone by, in this run and in those that it goes on from."""
        assert self.schedule.minutes is not None
        return (time.monotonic() - self.started) / (60.0 * self.schedule.minutes)

    def title(self, epoch: int) -> str:
        minutes = self.schedule.minutes
        return (
            f"epoch {epoch} of {self.schedule.epochs}" if minutes is None else f"epoch {epoch} within {minutes:.4g} min"
        )

    def epoch(self, train: Sequence[TrainingEvent]) -> float:
        """One pass over the events, in an order and with an augmentation that depend on seed and epoch alone."""
        schedule, network = self.schedule, self.task.network
        epoch = len(self.history)
        generator = torch.Generator().manual_seed(schedule.seed * 100_003 + epoch)
        order = torch.randperm(len(train), generator=generator).tolist()
        usable = len(order) // schedule.batch * schedule.batch
        network.train()
        total: Tensor | float = 0.0
        steps = 0
        for first in bar(range(0, usable, schedule.batch), desc=self.title(epoch + 1), unit="step", leave=False):
            if schedule.minutes is not None and self.time_used >= 1.0:
                break
            events = [
                augment(train[index], generator, schedule.faults) for index in order[first : first + schedule.batch]
            ]
            losses = [self.task.losses(event, schedule.parts) for event in events]
            for _ in range(schedule.parts):
                total += self._step(losses)
                steps += 1
        return float(total) / max(1, steps)

    def _step(self, losses: Sequence[Iterator[Tensor]]) -> Tensor | float:
        """One step of the optimiser, down the sum of the next loss of each event; returns their mean."""
        self.optimizer.zero_grad()
        total: Tensor | float = 0.0
        for of_event in losses:
            loss = next(of_event) / len(losses)
            loss.backward()  # type: ignore[no-untyped-call]  # torch.Tensor.backward is untyped
            total += loss.detach()  # not its value, which a GPU would have to be waited for
        torch.nn.utils.clip_grad_norm_(self.task.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        if self.schedule.minutes is not None:
            self.rates.last_epoch = min(CYCLE_BY_CLOCK - 2, int(CYCLE_BY_CLOCK * self.time_used))
        self.rates.step()
        return total

    def save(self, checkpoint: Path) -> None:
        """Write the state after an epoch, and the log; an interrupted write leaves the one before it whole."""
        state = io.BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({"run": self.run, **parts, "history": self.history}, state)
        log = "".join(json.dumps(figures) + "\n" for figures in self.history)
        write_files({checkpoint.with_suffix(".jsonl"): log.encode(), checkpoint: state.getvalue()})

    def resume(self, checkpoint: Path) -> None:
        """Go on from `checkpoint`, if it is there and was left by the same run."""
        state = read_checkpoint(checkpoint)
        if state.get("run") != self.run:
            return
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.history = state["history"]
        self.started -= sum(figures["seconds"] for figures in self.history)
        print(f"going on after epoch {len(self.history)}")

    def _parts(self) -> dict[str, Any]:
        return {"network": self.task.network, "optimizer": self.optimizer, "rates": self.rates}
