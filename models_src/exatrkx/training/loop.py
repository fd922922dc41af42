"""The training loop that the three networks share: seeded, resumable, with metrics on held-out events."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from tqdm import tqdm

from exatrkx.memory import retain_freed_memory
from exatrkx.training.sample import Sample, augment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn


class Task(Protocol):
    """What a network's training must say of itself."""

    network: nn.Module

    def loss(self, event: Sample) -> Tensor:
        """Scalar loss of one event."""

    def evaluate(self, events: Sequence[Sample]) -> dict[str, float]:
        """Figures on held-out events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast to train.

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
    task: Task, train: Sequence[Sample], valid: Sequence[Sample], schedule: Schedule, checkpoint: Path
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
    steps = max(1, schedule.epochs * (len(train) // schedule.batch))
    optimizer = torch.optim.AdamW(
        task.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.1)
    history: list[dict[str, float]] = []
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        if state["schedule"] == asdict(schedule) and state["events"] == len(train):
            task.network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            rates.load_state_dict(state["rates"])
            history = state["history"]
    for epoch in range(len(history), schedule.epochs):
        started = time.monotonic()
        loss = _epoch(task, train, schedule, epoch, optimizer, rates)
        task.network.eval()
        figures = {"epoch": float(epoch), "loss": loss, **task.evaluate(valid), "seconds": time.monotonic() - started}
        history.append(figures)
        tqdm.write(json.dumps({name: float(f"{value:.5g}") for name, value in figures.items()}))
        state = {
            "schedule": asdict(schedule),
            "events": len(train),
            "network": task.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rates": rates.state_dict(),
            "history": history,
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)
    task.network.eval()
    return history


def _epoch(
    task: Task,
    train: Sequence[Sample],
    schedule: Schedule,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    rates: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One pass over the events, in an order and with an augmentation that depend on seed and epoch alone."""
    generator = torch.Generator().manual_seed(schedule.seed * 100_003 + epoch)
    order = torch.randperm(len(train), generator=generator).tolist()
    task.network.train()
    total = 0.0
    usable = len(order) // schedule.batch * schedule.batch
    progress = tqdm(range(0, usable, schedule.batch), desc=f"epoch {epoch}", leave=False, mininterval=5.0)
    for first in progress:
        optimizer.zero_grad()
        for index in order[first : first + schedule.batch]:
            loss = task.loss(augment(train[index], generator)) / schedule.batch
            loss.backward()  # type: ignore[no-untyped-call]  # torch.Tensor.backward is untyped
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(task.network.parameters(), 1.0)
        optimizer.step()
        rates.step()
    return total / max(1, usable // schedule.batch)
