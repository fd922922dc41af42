"""Training loop that the three networks share: seeded, resumable, with metrics on held-out events."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from tqdm import tqdm

from exatrkx.arrays import retain_freed_memory
from exatrkx.training.events import TrainingEvent, augment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn


WARM_UP: Final = 0.1
"""The part of the one-cycle schedule in which the learning rate rises."""

LARGEST_GRADIENT: Final = 1.0
"""Norm to which the gradients of a step are clipped."""


class Task(Protocol):
    """Training task: a network, its loss and its evaluation."""

    @property
    def network(self) -> nn.Module:
        """The network in training."""

    def loss(self, event: TrainingEvent) -> Tensor:
        """Scalar loss of one event."""

    def evaluate(self, events: Sequence[TrainingEvent]) -> dict[str, float]:
        """Figures on held-out events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Training schedule: how long, and at which learning rate.

    Attributes:
        epochs: passes over the training events.
        batch: events whose gradients are added before each step.
        learning_rate: the highest of the one-cycle schedule.
        seed: of the initial weights, the order of events and their augmentation.
    """

    epochs: int
    batch: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 1


def fit(
    task: Task, train: Sequence[TrainingEvent], valid: Sequence[TrainingEvent], schedule: Schedule, checkpoint: Path
) -> list[dict[str, float]]:
    """Train `task.network` in place; begins where `checkpoint` ends, if it was left by the same schedule.

    Args:
        task: loss and figures of one network.
        train: events to learn from, on the network's device.
        valid: held-out events.
        schedule: epochs, batch and rates.
        checkpoint: file with the state after each epoch; also the log, as JSON lines, beside it.

    Returns:
        One dictionary of figures per epoch.
    """
    retain_freed_memory()
    progress = _Progress(task, len(train), schedule)
    progress.resume(checkpoint)
    while len(progress.history) < schedule.epochs:
        started = time.monotonic()
        loss = progress.epoch(train)
        task.network.eval()
        figures = {"epoch": len(progress.history), "loss": loss, **task.evaluate(valid)}
        figures["seconds"] = time.monotonic() - started
        # Plain numbers: a checkpoint is read back without running any code of its own.
        figures = {name: float(value) for name, value in figures.items()}
        progress.history.append(figures)
        progress.save(checkpoint)
        tqdm.write(json.dumps({name: float(f"{value:.5g}") for name, value in figures.items()}))
    task.network.eval()
    return progress.history


class _Progress:
    """Everything that an interrupted training needs in order to go on as if it had not been."""

    def __init__(self, task: Task, num_events: int, schedule: Schedule) -> None:
        self.task = task
        self.schedule = schedule
        self.num_events = num_events
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
        for first in tqdm(range(0, usable, schedule.batch), desc=f"epoch {epoch}", leave=False, mininterval=5.0):
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
        """Write the state after an epoch; an interrupted write leaves the one before it whole."""
        partial = checkpoint.with_suffix(".partial")
        torch.save({**self._identity(), **self._parts(), "history": self.history}, partial)
        partial.replace(checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Go on from `checkpoint`, if it is there and was left by the same schedule on as many events."""
        if not checkpoint.is_file():
            return
        state = torch.load(checkpoint, weights_only=True)
        if any(state[name] != value for name, value in self._identity().items()):
            tqdm.write(f"{checkpoint} is of another schedule: starting anew")
            return
        self.task.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.load_state_dict(state["rates"])
        self.history = state["history"]

    def _identity(self) -> dict[str, Any]:
        return {"schedule": asdict(self.schedule), "events": self.num_events}

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.task.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
        }
