"""Refusals: what two implementations must agree on is category, model, tensors and values, not the words between."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from exatrkx.contract import MODELS
from exatrkx_client import ClientError

if TYPE_CHECKING:
    from serving import Array, Caller

_TENSORS: Final = {spec.name for model in MODELS.values() for spec in (*model.inputs, *model.outputs)}
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf)(?!\w)")


class Facts(NamedTuple):
    """The facts in a text: names of tensors, and numbers, in the order in which they stand there."""

    tensors: tuple[str, ...]
    values: tuple[str, ...]


class Refusal(NamedTuple):
    """A server's refusal of a request."""

    status: str
    model: str
    facts: Facts


def facts(text: str) -> Facts:
    tensors = (word for word in re.findall(r"\w+", text) if word in _TENSORS)
    return Facts(tuple(dict.fromkeys(tensors)), tuple(str(float(number)) for number in _NUMBER.findall(text)))


def refused(caller: Caller, model: str, inputs: dict[str, Array]) -> tuple[Refusal, str]:
    """The server's refusal, and its text."""
    with pytest.raises(ClientError) as caught:
        caller(model, inputs)
    text = caught.value.reason
    who, _, what = text.partition(": ")
    return Refusal(caught.value.status, who, facts(what)), text
