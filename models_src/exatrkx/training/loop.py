"""Training loop that the three networks share: seeded, resumable, with metrics on held-out events."""

from __future__ import annotations

import hashlib
import io
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from tqdm import tqdm

from exatrkx.arrays import retain_freed_memory
from exatrkx.files import write_files
from exatrkx.training.events import TrainingEvent, augment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from exatrkx.training.recipes import Schedule


WARM_UP: Final = 0.1
"""The part of the one-cycle schedule in which the learning rate rises."""

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

    def loss(self, event: TrainingEvent) -> Tensor:
        """Scalar loss of one event."""

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
    while len(progress.history) < schedule.epochs:
        started = time.monotonic()
        loss = progress.epoch(train)
        task.network.eval()
        figures = {"loss": loss, **task.evaluate(valid), "seconds": time.monotonic() - started}
        # Plain numbers: a checkpoint is read back without running any code of its own.
        figures = {name: float(value) for name, value in figures.items()}
        progress.history.append({"epoch": len(progress.history), **figures})
        progress.save(checkpoint)
        shown = ", ".join(f"{name} {figures[name]:.4g}" for name in ("loss", *task.shown))
        tqdm.write(f"epoch {len(progress.history)} of {schedule.epochs}: {shown}, {figures['seconds']:.1f} s")
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
        self.optimizer = torch.optim.AdamW(
            task.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            schedule.learning_rate,
            total_steps=max(1, schedule.epochs * (num_events // schedule.batch)),
            pct_start=WARM_UP,
        )

    def epoch(self, train: Sequence[TrainingEvent]) -> float:
        """One pass over the events, in an order and with an augmentation that depend on seed and epoch alone."""
        schedule, network = self.schedule, self.task.network
        epoch = len(self.history)
        generator = torch.Generator().manual_seed(schedule.seed * 100_003 + epoch)
        order = torch.randperm(len(train), generator=generator).tolist()
        usable = len(order) // schedule.batch * schedule.batch
        network.train()
        total = 0.0
        title = f"epoch {epoch + 1} of {schedule.epochs}"
        for first in tqdm(range(0, usable, schedule.batch), desc=title, leave=False, mininterval=5.0):
            self.optimizer.zero_grad()
            for index in order[first : first + schedule.batch]:
                loss = self.task.loss(augment(train[index], generator)) / schedule.batch
                loss.backward()  # type: ignore[no-untyped-call]  # torch.Tensor.backward is untyped
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
            self.optimizer.step()
            self.rates.step()
        return total / max(1, usable // schedule.batch)

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
        tqdm.write(f"going on after epoch {len(self.history)}")

    def _parts(self) -> dict[str, Any]:
        return {"network": self.task.network, "optimizer": self.optimizer, "rates": self.rates}
