"""Contract check: a served model's tensors against those of `exatrkx.contract`."""

from __future__ import annotations

from exatrkx.contract import (
    EDGES_DIGEST,
    ENSEMBLE,
    REQUEST_DIGEST,
    ModelSpec,
    TensorSpec,
    num_features,
    with_num_features,
)
from exatrkx_client.errors import ServedModelError


def require_pipeline(served: ModelSpec, address: str) -> None:
    """Refuse a model whose tensors are not those of a whole pipeline, whatever the model is called.

    FEATURES may have more columns than those of the position.

    Outputs beyond the contract's are left alone: they are never asked for. A model of somebody else's may lack
    the digests: its answers are known by their request id alone.

    Raises:
        ServedModelError: lists every tensor that is missing, in excess or of another type or shape.
    """
    expected_inputs = with_num_features(ENSEMBLE, num_features(served)).inputs
    problems = _differences("input", expected_inputs, served.inputs, others_allowed=False)
    given = {tensor.name for tensor in served.outputs}
    expected = tuple(
        tensor for tensor in ENSEMBLE.outputs if tensor not in (REQUEST_DIGEST, EDGES_DIGEST) or tensor.name in given
    )
    problems += _differences("output", expected, served.outputs, others_allowed=True)
    if problems:
        raise ServedModelError(f"{address}: model '{served.name}' does not keep the contract: {'; '.join(problems)}")


def _differences(
    kind: str, expected: tuple[TensorSpec, ...], found: tuple[TensorSpec, ...], *, others_allowed: bool
) -> list[str]:
    by_name = {tensor.name: tensor for tensor in found}
    problems = []
    for tensor in expected:
        served = by_name.pop(tensor.name, None)
        if served is None:
            problems.append(f"{kind} {tensor} is missing")
        elif served != tensor:
            problems.append(f"{kind} {tensor} expected, found {served}")
    if not others_allowed:
        problems += [f"{kind} {tensor} is not known" for tensor in by_name.values()]
    return problems
