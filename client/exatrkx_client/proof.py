"""Proof that an answer belongs to the request that was sent: request id, and digest of FEATURES and labels.

Triton's server and each of its Python processes talk through a queue, and a process that was paused for more than a
second leaves a reply in it that nobody waits for any more: from then on each request gets the reply to the one before
it. So nothing is believed because it came back.

Answers: the request id is a new one for each attempt, and must be the answer's; REQUEST_DIGEST (`exatrkx.digest`),
which the server works out stage by stage from the FEATURES that it sees, must be that of what was sent, with that of
the labels as they came added to it. Where edges or scores are asked for, EDGES_DIGEST must be that of both, so both are
fetched. Of a served model without these outputs only the request id is checked.

Refusals: this project's models sign theirs with the request's digest, or with "unknown" where what they complain of
came from another stage. One with this request's signature is believed; another's, and one out of an ensemble without
any, is the server's fault. What is left is Triton's own word, or that of a model of somebody else's: it is believed
when the next attempt, made at once, is told the same, within a few attempts.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from exatrkx.contract import EDGES_DIGEST, ENSEMBLE, REQUEST_DIGEST
from exatrkx.digest import added, features_digest, payload_digest, request_digest, signature, signed
from exatrkx_client.errors import RequestRejectedError, ServerError, UnprovenError
from exatrkx_client.transport import InferenceRequest, Pending, Reply, Transport

if TYPE_CHECKING:
    from exatrkx.arrays import Array

_FEATURES: Final = ENSEMBLE.input("FEATURES").name

_PROVED_BY: Final = {REQUEST_DIGEST.name: ("LABELS",), EDGES_DIGEST.name: ("EDGE_INDEX", "EDGE_SCORES")}
"""The outputs that a digest covers, all together."""

_NOT_OFFERED: Final = tuple(f"unexpected inference output '{name}'" for name in _PROVED_BY)
"""Triton's words, before any model sees the request."""

_IN_ENSEMBLE: Final = "in ensemble '"
"""How Triton begins what a step of an ensemble was told."""

_MOST_REFUSALS: Final = 4
"""Refusals that differ (a number in the text, say) before the request is left to `Retry`."""


class ProvingTransport:
    """A transport whose answers are proved to be those to the requests. May be used from several threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._without_digest: set[str] = set()
        self.is_ready, self.ask, self.close = transport.is_ready, transport.ask, transport.close

    def submit(self, request: InferenceRequest) -> Pending:
        """Start sending a request, with an id of its own for each attempt."""
        return _Proven(self._transport, request, self._without_digest)


class _Proven:
    """A request on its way, whose answer is believed with its proof.

    Args:
        without_digest: models that do not offer it; one that turns out not to is added.
    """

    def __init__(self, transport: Transport, request: InferenceRequest, without_digest: set[str]) -> None:
        self._transport = transport
        self._request = request
        self._without_digest = without_digest
        self._proofs: list[str] = []
        self._of_features = features_digest(request.inputs[_FEATURES])
        self._pending = self._send()

    def result(self) -> Reply:
        """Wait for the answer.

        Raises:
            UnprovenError: it is not known to be this request's, be it labels or a refusal.
            ClientError: as the transport's.
        """
        told_before, refusals = None, 0
        while True:
            try:
                return self._proven(self._pending.result())
            except (RequestRejectedError, ServerError) as error:
                told = self._believed(error)
                if told == told_before:
                    raise type(error)(told, status=error.status, reason=error.reason) from error
                told_before, refusals = told, refusals + 1
                if refusals == _MOST_REFUSALS:
                    raise UnprovenError(f"refused with another text each time: {told}", status=error.status) from error
            self._pending = self._send()

    def cancel(self) -> object:
        """Give the request up."""
        return self._pending.cancel()

    def _send(self) -> Pending:
        self._id = uuid.uuid4().hex
        self._digest = request_digest(self._of_features, self._id)
        self._asked = self._request.model not in self._without_digest
        outputs, self._proofs = self._request.outputs, []
        if self._asked:
            self._proofs = [name for name, covered in _PROVED_BY.items() if not set(covered).isdisjoint(outputs)]
            needed = [name for proof in self._proofs for name in (*_PROVED_BY[proof], proof)]
            outputs = (*outputs, *(name for name in needed if name not in outputs))
        return self._transport.submit(replace(self._request, outputs=outputs, request_id=self._id))

    def _proven(self, reply: Reply) -> Reply:
        tensors = reply.tensors
        proved = reply.request_id == self._id and all(self._covers(name, tensors) for name in self._proofs)
        if not proved:
            raise UnprovenError(f"{self._request.model}: the answer is not to this request, but to another")
        for name in tensors.keys() - set(self._request.outputs):
            del tensors[name]
        return reply

    def _covers(self, proof: str, tensors: dict[str, Array]) -> bool:
        """Whether this digest is there, and that of the request and of the tensors that it covers."""
        if not tensors.keys() >= {proof, *_PROVED_BY[proof]}:
            return False
        expected = added(self._digest, *(payload_digest(tensors[name]) for name in _PROVED_BY[proof]))
        return bool(tensors[proof].tolist() == [expected])

    def _believed(self, error: RequestRejectedError | ServerError) -> str:
        """The text of an error that is to be asked about once more; one that needs no second word is raised."""
        text, by = signed(str(error))
        text = text.replace(f"[request id: {self._id}] ", "")
        if by == signature(self._digest) or (isinstance(error, ServerError) and not by):
            raise type(error)(text, status=error.status, reason=signed(error.reason)[0]) from error
        if self._asked and any(words in text for words in _NOT_OFFERED):
            self._without_digest.add(self._request.model)
        elif by or _IN_ENSEMBLE in text:
            raise UnprovenError(f"an error that may be another request's: {text}", status=error.status) from error
        return text
