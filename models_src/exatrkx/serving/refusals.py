"""Refusals of a served Python model: the error in place of an answer, with its code, and whose it is.

Imported only inside a Triton server, as `exatrkx.serving.adapter` is.
"""

from __future__ import annotations

from typing import Any, Final

import triton_python_backend_utils as pb_utils

from exatrkx.digest import signature
from exatrkx.errors import ExatrkxError, MixedRequestsError, OverdueError, OverloadedError


class BrokenModelError(ExatrkxError):
    """A model does not keep the contract in what it returns: the server's fault, not the request's."""


_CODES: Final[dict[type[Exception], str]] = {
    OverdueError: "CANCELLED",
    OverloadedError: "UNAVAILABLE",
    MixedRequestsError: "UNAVAILABLE",
}
"""Name of Triton's code, which says whose fault it is, and whether to try later; of others the request's."""


def refusal(name: str, error: Exception, digest: int | None) -> Any:
    """The response of a model that cannot answer, signed with the request's digest; a bug is in the log, too."""
    text, code = f"{name}: {error}", _CODES.get(type(error), "INVALID_ARG")
    if isinstance(error, BrokenModelError) or not isinstance(error, ExatrkxError):
        text, code = f"{name}: {type(error).__name__}: {error}", "INTERNAL"
        pb_utils.Logger.log_error(text)
    told = pb_utils.TritonError(text + signature(digest), getattr(pb_utils.TritonError, code))
    return pb_utils.InferenceResponse(output_tensors=[], error=told)
