"""Triton Python backend adapter, which every Python model of the repository shares: requests in, responses out.

Imported only inside a Triton server, whose Python backend provides `triton_python_backend_utils`. No torch here: the
steps between the networks start faster and need less memory without it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import triton_python_backend_utils as pb_utils

from exatrkx.arrays import retain_freed_memory
from exatrkx.checks import check_spacepoints, check_tensor, max_spacepoints
from exatrkx.contract import (
    EDGES_DIGEST,
    ENSEMBLE,
    FEATURES_DIGEST,
    REQUEST_DIGEST,
    VARIABLE,
    WCC,
    ModelSpec,
    TensorSpec,
    with_num_features,
)
from exatrkx.digest import added, features_digest, payload_digest, request_digest
from exatrkx.errors import ContractError, MixedRequestsError
from exatrkx.serving.admission import ENTRANCES, Queue, check_memory, needed_bytes
from exatrkx.serving.limits import check_deadline
from exatrkx.serving.model_config import (
    EXTRA_FEATURES,
    PARAMETERS,
    config_num_features,
    config_parameters,
    working_point_of,
)
from exatrkx.serving.refusals import BrokenModelError, refusal

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.working_point import WorkingPoint

_NUMPY_1: Final = np.lib.NumpyVersion(np.__version__) < "2.0.0"
"""The version that the wheel's Python backend was built for; it misreads the sizes of a later version's arrays."""

_EDGES: Final = WCC.inputs[0].name
_SCORED: Final = ("EDGE_INDEX", "EDGE_SCORES")
_DIGESTS: Final = (REQUEST_DIGEST, EDGES_DIGEST)
_FEATURES: Final = ENSEMBLE.inputs[0].name

Arrays = dict[str, Any]
"""Tensors of one request or response by name: NumPy arrays on a CPU, CuPy arrays (or torch tensors) on a GPU."""


@dataclass(frozen=True, slots=True)
class Device:
    """Device on which Triton placed an instance of a model: the CPU, or the GPU with this number."""

    gpu: int | None

    @classmethod
    def given_by(cls, args: dict[str, str]) -> Device:
        """The device in the arguments of `initialize`."""
        on_gpu = args["model_instance_kind"] == "GPU"
        return cls(int(args["model_instance_device_id"]) if on_gpu else None)

    def __str__(self) -> str:
        return "cpu" if self.gpu is None else f"cuda:{self.gpu}"


class Step(ABC):
    """Base class of every `TritonPythonModel`: a subclass says which model it is, and what a request becomes."""

    spec: ModelSpec
    """The contract that the model keeps; an instance's has the columns of FEATURES that its configuration has."""

    name: str
    device: Device
    parameters: dict[str, str]
    cuts: WorkingPoint
    queue: Queue
    _max_spacepoints: int
    _matrices: list[TensorSpec]
    _payloads: list[TensorSpec]
    _is_given_digest: bool

    def initialize(self, args: dict[str, str]) -> None:
        """Called by Triton once. An exception fails the load, with its text as the reason."""
        retain_freed_memory()
        self.name = args["model_name"]
        config = json.loads(args["model_config"])
        columns = config_num_features(config)
        self.spec = with_num_features(self.spec, columns)
        self._max_spacepoints = max_spacepoints()
        self._matrices = [spec for spec in self.spec.inputs if len(spec.dims) == 2]  # noqa: PLR2004
        self._payloads = [spec for spec in self.spec.inputs if VARIABLE in spec.dims and not spec.optional]
        self._is_given_digest = FEATURES_DIGEST in self.spec.inputs
        self.device = Device.given_by(args)
        self.queue = Queue()
        self.parameters = config_parameters(config)
        if self.spec.name in PARAMETERS:
            self.cuts = working_point_of(self.spec.name, self.parameters)
            if EXTRA_FEATURES in PARAMETERS[self.spec.name] and columns != self.cuts.num_features:
                told = f"extra_features {self.cuts.extra_features!r} says {self.cuts.num_features}"
                raise ContractError(f"{self.name}: config.pbtxt has {columns} columns of {_FEATURES}, and {told}")
        if self.device.gpu is not None:
            self.use_gpu(self.device.gpu)
        self.load(args)
        self._warm_up(config)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Called by Triton with one or more requests; each gets its own answer, and its own error."""
        return [self._answer(request) for request in requests]

    @abstractmethod
    def run(self, tensors: Arrays) -> Arrays:
        """The outputs for the inputs of one request.

        Raises:
            ExatrkxError: the request is at fault; the text becomes its error.
        """

    def load(self, args: dict[str, str]) -> None:  # noqa: B027 - most steps have nothing to load
        """Prepare for requests; nothing to do unless a subclass has files to read."""

    def use_gpu(self, number: int) -> None:
        """Make this process compute on one GPU."""
        import cupy  # noqa: PLC0415 - only where there is a GPU

        cupy.cuda.Device(number).use()

    def from_triton(self, tensor: Any, spec: TensorSpec) -> Any:
        """The tensor as an array on the instance's device; without a copy where it is there already.

        One of a fixed size is a number or a few, which the host wants to read: it stays there.
        """
        if 0 in tensor.shape():  # nothing to hand over, and DLPack may refuse to
            return self.from_numpy(np.empty(tensor.shape(), spec.numpy_type))
        if tensor.is_cpu():
            array = self.from_host(tensor)
            return array if VARIABLE not in spec.dims else self.from_numpy(array)
        import cupy  # noqa: PLC0415 - only where there is a GPU

        array = cupy.from_dlpack(tensor)
        # Triton places each step on any GPU: a copy where the tensor is on another than this instance.
        return cupy.asnumpy(array) if self.device.gpu is None else cupy.asarray(array)

    def from_host(self, tensor: Any) -> npt.NDArray[Any]:
        """A CPU tensor as an array that shares its memory, to be read only.

        By DLPack, which knows no versions of NumPy, and not by `as_numpy`.
        """
        return np.from_dlpack(tensor)

    def from_numpy(self, array: npt.NDArray[Any]) -> Any:
        """The array on the instance's device."""
        if self.device.gpu is None:
            return array
        import cupy  # noqa: PLC0415 - only where there is a GPU

        return cupy.asarray(array)

    def to_triton(self, name: str, array: Any) -> Any:
        """An output tensor; a GPU array stays on the GPU, unless it is empty: DLPack cannot hand those over."""
        if array.size == 0:
            return pb_utils.Tensor(name, np.empty(array.shape, dtype=array.dtype))
        if isinstance(array, np.ndarray):
            return _host_tensor(name, array)
        import cupy  # noqa: PLC0415 - only where there is a GPU

        cupy.cuda.get_current_stream().synchronize()
        return pb_utils.Tensor.from_dlpack(name, cupy.ascontiguousarray(array))

    def _warm_up(self, config: dict[str, Any]) -> None:
        """Run on the warm-up samples of the configuration: a model that cannot answer fails to load, and says why.

        Triton runs them too, but may crash when a Python model fails then.
        """
        for sample in config.get("model_warmup", []):
            tensors = {
                name: self.from_numpy(np.zeros([int(size) for size in entry["dims"]], self.spec.input(name).numpy_type))
                for name, entry in sample["inputs"].items()
            }
            try:
                self.warm_up(tensors)
            except Exception as error:
                raise ContractError(f"{self.name}: the warm-up sample {sample['name']!r} failed: {error}") from error

    def warm_up(self, tensors: Arrays) -> None:
        """Go the way of a request of these tensors, so that no client's goes it for the first time.

        On a GPU CuPy compiles what it is asked for: the digests took the first request of a process seconds.
        """
        covered: dict[str, int] = {}
        if self._is_given_digest:
            of_features = features_digest(tensors[_FEATURES]) if _FEATURES in tensors else 0
            of_payloads = [payload_digest(tensors[spec.name]) for spec in self._payloads]
            tensors = tensors | {FEATURES_DIGEST.name: np.array([added(of_features, *of_payloads)])}
        digest = self._request_digest(tensors, "", covered)
        self._outputs(tensors, digest, covered)

    def _outputs(self, tensors: Arrays, digest: int | None, covered: dict[str, int]) -> Arrays:
        outputs = self.run(tensors)
        for spec in self.spec.outputs:
            if spec not in _DIGESTS:
                check_output(outputs[spec.name], spec)
        if digest is not None and REQUEST_DIGEST in self.spec.outputs:
            of_payload = payload_digest(outputs[self.spec.outputs[0].name])
            outputs[REQUEST_DIGEST.name] = np.array([added(digest, of_payload)])
        if digest is not None and EDGES_DIGEST in self.spec.outputs:
            of_edges = [covered[name] if name in covered else payload_digest(outputs[name]) for name in _SCORED]
            outputs[EDGES_DIGEST.name] = np.array([added(digest, *of_edges)])
        return outputs

    def _request_digest(self, tensors: Arrays, request_id: str, covered: dict[str, int]) -> int | None:
        """The digest of the request that the tensors are of; None where they do not say: edges may be another's.

        Those of its payloads are put into `covered`.

        Raises:
            MixedRequestsError: they are of more than one.
        """
        if self._is_given_digest:
            covered.update({spec.name: payload_digest(tensors[spec.name]) for spec in self._payloads})
            given = tensors.get(FEATURES_DIGEST.name)
            of_features = 0 if given is None else added(int(given[0]), *(-digest for digest in covered.values()))
            features = tensors.get(_FEATURES)
            if given is not None and features is not None and features_digest(features) != of_features:
                raise MixedRequestsError("features and scores are of different requests")
        elif len(self.spec.inputs) == 1:
            of_features = features_digest(tensors[self.spec.inputs[0].name])
        else:
            return None
        digest, earlier = request_digest(of_features, request_id), tensors.get(REQUEST_DIGEST.name)
        if earlier is not None and added(int(earlier[0]), -covered[_EDGES]) != digest:
            raise MixedRequestsError("edges and scores are of different requests")
        return digest

    def _answer(self, request: Any) -> Any:
        digest, covered = None, dict[str, int]()
        try:
            check_deadline(request.parameters())
            if self.spec.name in ENTRANCES:
                self.queue.admit()
            given = {tensor.name(): tensor for tensor in request.inputs()}
            arrays = {
                spec.name: self._input(given.get(spec.name), spec)
                for spec in self.spec.inputs
                if spec.name in given or not spec.optional
            }
            digest = self._request_digest(arrays, request.request_id(), covered)
            shapes = {name: array.shape for name, array in arrays.items()}
            for spec in self._matrices:
                if spec.name not in shapes:  # optional
                    continue
                check_spacepoints(shapes[spec.name], spec, self._max_spacepoints)
            if self.device.gpu is None and (needed := needed_bytes(self.spec, shapes)):
                check_memory(needed)
            outputs = self._outputs(arrays, digest, covered)
            wanted = set(request.requested_output_names())
            answer = [self.to_triton(name, array) for name, array in outputs.items() if name in wanted]
        except Exception as error:
            return refusal(self.name, error, digest)
        return pb_utils.InferenceResponse(output_tensors=answer)

    def _input(self, tensor: Any, spec: TensorSpec) -> Any:
        if tensor is None:
            raise ContractError(f"{spec.name}: expected {spec}, found no such input")
        array = self.from_triton(tensor, spec)
        check_tensor(array, spec)
        return array


def check_output(array: Any, spec: TensorSpec) -> None:
    """Look at an output's form.

    Raises:
        BrokenModelError: it is not the contract's.
    """
    try:
        check_tensor(array, spec)
    except ContractError as error:
        raise BrokenModelError(str(error)) from error


def _host_tensor(name: str, array: npt.NDArray[Any]) -> Any:
    """An output of a NumPy array that is not empty, under the NumPy that is installed."""
    if _NUMPY_1:  # whose arrays the Python backend cannot release once it has them by DLPack
        return pb_utils.Tensor(name, np.ascontiguousarray(array))
    # An input that is passed on is read-only, and must be handed over as a copy.
    return pb_utils.Tensor.from_dlpack(name, np.require(array, requirements=("C", "W")))
