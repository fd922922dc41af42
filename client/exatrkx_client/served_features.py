"""Columns of FEATURES that a served pipeline takes: how many, and which of an event's follow the position.

A server of the position alone, as this project's networks are, is asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exatrkx.checks import FEATURE_COLUMNS, check_features_range, check_tensor
from exatrkx.contract import (
    FEATURES,
    NUM_FEATURES,
    ExtraFeature,
    ModelSpec,
    extra_features,
    features_spec,
    num_features,
)
from exatrkx.errors import ContractError, MissingColumnError
from exatrkx.events.event import Event, features
from exatrkx_client.answer import FeatureArray
from exatrkx_client.errors import ClientError, ServedModelError
from exatrkx_client.retry import Retry

_ONCE: Final = Retry(attempts=1)

PARAMETER: Final = "extra_features"
"""Of a pipeline's configuration, see `exatrkx.working_point.WorkingPoint`."""


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """Columns of FEATURES: their number, and those after the position; None where the server does not name them."""

    count: int = NUM_FEATURES
    extra: tuple[ExtraFeature, ...] | None = ()

    @classmethod
    def of_model(cls, spec: ModelSpec, config: Mapping[str, Any], address: str) -> ServedFeatures:
        """The columns of a model, by its tensors and its configuration.

        Raises:
            ServedModelError: the configuration names others than there are.
        """
        count = num_features(spec)
        if count == NUM_FEATURES:
            return cls()
        said = config.get("parameters", {}).get(PARAMETER)
        try:
            extra = None if said is None else extra_features(said.get("string_value", ""))
        except ContractError as error:
            raise ServedModelError(f"{address}: model '{spec.name}': {error}") from error
        if extra is not None and len(extra) != count - NUM_FEATURES:
            told = (
                f"takes {count} columns of {FEATURES.name}, and its {PARAMETER} names {len(extra)} after the position"
            )
            raise ServedModelError(f"{address}: model '{spec.name}' {told}")
        return cls(count, extra)

    def __str__(self) -> str:
        others = [f"{self.count - NUM_FEATURES} more"] if self.extra is None else map(str, self.extra)
        return f"{self.count} columns of {FEATURES.name}: {', '.join([*FEATURE_COLUMNS, *others])}"

    def array_of(self, source: Event | FeatureArray) -> FeatureArray:
        """What is sent of an event, or of its features.

        Raises:
            ContractError: features of another type or shape, or that fit no detector (`UnitsError`).
            MissingColumnError: the event lacks a column, or the server does not say which it takes.
        """
        if isinstance(source, Event):
            if self.extra is None:
                raise MissingColumnError(
                    f"event {source.event_id}: the server takes {self}, and does not name them: send arrays "
                    f"[N,{self.count}]"
                )
            return features(source, self.extra)
        check_tensor(source, features_spec(self.count))
        check_features_range(source, FEATURES.name)
        return source


class FeaturesAsked:
    """The columns that a client's servers take, asked for when there is a reason to.

    Args:
        ask: the columns as a server has them; None where none answers, and there is a fallback.
        retry: how long an event waits for the answer.
    """

    def __init__(self, ask: Callable[[], ServedFeatures | None], retry: Retry) -> None:
        self._ask = ask
        self._retry = retry
        self._known: ServedFeatures | None = None

    def known(self, retry: Retry | None = None) -> ServedFeatures:
        """The columns, asked for once; those of the position where the fallback takes a server's place.

        Raises:
            ClientError: no server says.
        """
        if self._known is None:
            self._known = (retry or self._retry).asked(self._ask)
        return self._known or ServedFeatures()

    def learn(self, found: ServedFeatures, address: str) -> None:
        """Remember what a server takes.

        Raises:
            ServedModelError: another one takes others.
        """
        if self._known is not None and self._known != found:
            raise ServedModelError(f"{address}: takes {found}; another server takes {self._known}")
        self._known = found

    def array_of(self, source: Event | FeatureArray) -> FeatureArray:
        """`ServedFeatures.array_of`; the server is asked first where there are more columns than those of the position.

        Raises:
            ClientError: the event has such columns, and no server says whether it takes them.
        """
        if self._known is None and _has_more(source):
            try:
                self.known(self._retry if isinstance(source, Event) else _ONCE)
            except ClientError:
                if isinstance(source, Event):
                    raise
        return self.as_far_as_known(source)

    def as_far_as_known(self, source: Event | FeatureArray) -> FeatureArray:
        """`ServedFeatures.array_of`, of the position alone where no server has said what it takes; none is asked."""
        return (self._known or ServedFeatures()).array_of(source)

    def told(self, source: Event | FeatureArray, error: ClientError) -> None:
        """Say of a refused event what it lacks, where that is the reason.

        Raises:
            ContractError: the server takes other columns than were sent; an event's is named.
        """
        if self._known is not None or FEATURES.name not in str(error):
            return
        try:
            self._known = self._ask()
        except ClientError:
            return
        if self._known is not None and self._known.count != NUM_FEATURES:
            self._known.array_of(source)


def _has_more(source: Event | FeatureArray) -> bool:
    """Whether it may hold more than the position."""
    if isinstance(source, Event):
        return bool(source.extra)
    *_, columns = getattr(source, "shape", None) or (0,)
    return columns > NUM_FEATURES
