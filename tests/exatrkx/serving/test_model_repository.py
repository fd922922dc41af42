"""The committed configurations against the contract: every name, type and shape, and how the ensemble is joined up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]  # its stubs are a package of their own
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from exatrkx.contract import ENSEMBLE, MODELS, STEPS, VARIABLE, ModelSpec, TensorSpec
from exatrkx.errors import ContractError
from exatrkx.files import write_files
from exatrkx.serving.model_config import (
    PARAMETERS,
    WEIGHTS,
    edited_configs,
    read_working_point,
    working_point_of,
)
from exatrkx.working_point import TRACK_BUILDING, UNLESS_SAID, WorkingPoint

REPOSITORY: Final = Path(__file__).resolve().parents[3] / "model_repository"
NETWORKS: Final = ("embed", "filter", "gnn")
PYTHON_STEPS: Final = ("frnn", "applyfilter", "wcc")


def config(model: str, repository: Path = REPOSITORY) -> Any:
    return text_format.Parse((repository / model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def tensors(entries: Any) -> tuple[TensorSpec, ...]:
    """A configuration's inputs or outputs in the contract's terms."""
    return tuple(
        TensorSpec(
            entry.name,
            model_config_pb2.DataType.Name(entry.data_type).removeprefix("TYPE_"),
            tuple(entry.dims),
            getattr(entry, "optional", False),
        )
        for entry in entries
    )


def test_every_model_of_the_contract_is_there_and_no_other() -> None:
    assert {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")} == set(MODELS)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_config_keeps_the_contract(model: ModelSpec) -> None:
    found = config(model.name)
    assert found.name == model.name
    assert found.max_batch_size == 0
    assert tensors(found.input) == model.inputs
    assert tensors(found.output) == model.outputs


@pytest.mark.parametrize("model", MODELS)
def test_version_directory_is_committed(model: str) -> None:
    assert (REPOSITORY / model / "1").is_dir()


@pytest.mark.parametrize("model", [name for name in MODELS if name != "exatrkx_ensemble"])
def test_runs_on_the_gpu_where_there_is_one(model: str) -> None:
    found = config(model)
    kinds = [found.instance_group[0].Kind.Name(group.kind) for group in found.instance_group]
    assert kinds == ["KIND_AUTO"]
    backend = {**dict.fromkeys(NETWORKS, "pytorch"), **dict.fromkeys(PYTHON_STEPS, "python")}.get(model, "exatrkx")
    assert found.backend == backend
    if backend != "pytorch":
        assert found.parameters["FORCE_CPU_ONLY_INPUT_TENSORS"].string_value == "no"


@pytest.mark.parametrize("model", PYTHON_STEPS)
def test_a_step_holds_no_algorithm(model: str) -> None:
    """One call into `exatrkx`: the adapter is short, and neither loops nor computes."""
    code = (REPOSITORY / model / "1" / "model.py").read_text()
    assert len(code.splitlines()) < 40
    assert not {"for ", "while ", "if "} & {line.lstrip().partition(" ")[0] + " " for line in code.splitlines()}


@pytest.mark.parametrize("model", MODELS)
def test_warm_up_fits_the_inputs(model: str) -> None:
    inputs = {tensor.name: tensor for tensor in MODELS[model].inputs}
    for sample in config(model).model_warmup:
        assert set(sample.inputs) == {name for name, tensor in inputs.items() if not tensor.optional}
        for name, entry in sample.inputs.items():
            assert inputs[name].accepts(tuple(entry.dims))
            assert model_config_pb2.DataType.Name(entry.data_type) == f"TYPE_{inputs[name].datatype}"


@pytest.mark.parametrize(("model", "tensor"), [("frnn", "EMBEDDING"), ("exatrkx_custom", "FEATURES")])
def test_warm_up_of_the_neighbour_search_meets_its_cap(model: str, tensor: str) -> None:
    """All its points are neighbours: with no more than the cap, part of the search would first run for a client."""
    (sample,) = config(model).model_warmup
    assert sample.inputs[tensor].dims[0] > int(config("frnn").parameters["max_neighbors"].string_value) + 1


class TestEnsemble:
    """The six steps, joined by names: everything that goes in comes from somewhere, with its type and rank."""

    steps: Final = tuple(config("exatrkx_ensemble").ensemble_scheduling.step)

    def test_steps_are_the_contracts_in_order(self) -> None:
        assert [step.model_name for step in self.steps] == [spec.name for spec in STEPS]
        assert {step.model_version for step in self.steps} == {-1}

    def test_every_name_type_and_shape_joins_up(self) -> None:
        known = {tensor.name: tensor for tensor in ENSEMBLE.inputs}
        for step in self.steps:
            spec = MODELS[step.model_name]
            assert set(step.input_map) == {tensor.name for tensor in spec.inputs}
            assert set(step.output_map) == {tensor.name for tensor in spec.outputs}
            for own, outer in step.input_map.items():
                assert outer in known, f"{step.model_name}: {own} comes from nowhere: {outer}"
                assert joins(known[outer], spec.input(own)), f"{step.model_name}: {known[outer]} to {spec.input(own)}"
            for own, outer in step.output_map.items():
                assert outer not in known, f"{step.model_name}: {outer} is written twice"
                known[outer] = spec.output(own)
        for tensor in ENSEMBLE.outputs:
            assert joins(known[tensor.name], tensor)

    def test_no_tensor_is_made_for_nobody(self) -> None:
        made = {outer for step in self.steps for outer in step.output_map.values()}
        used = {outer for step in self.steps for outer in step.input_map.values()}
        assert made - used == {tensor.name for tensor in ENSEMBLE.outputs}

    def test_all_outputs_come_out_of_the_last_step(self) -> None:
        """Triton leaves out a step of whose outputs a request asks for none, even where a later step needs them."""
        assert set(self.steps[-1].output_map.values()) == {tensor.name for tensor in ENSEMBLE.outputs}

    def test_scores_go_with_their_own_edges(self) -> None:
        by_name = {step.model_name: step for step in self.steps}
        assert by_name["applyfilter"].input_map["EDGE_INDEX"] == by_name["filter"].input_map["INPUT__1"]
        assert by_name["wcc"].input_map["EDGE_INDEX"] == by_name["gnn"].input_map["INPUT__1"]
        assert by_name["wcc"].input_map["NUM_NODES"] == by_name["frnn"].output_map["NUM_NODES"]

    def test_digests_go_with_the_tensors_of_their_own_step(self) -> None:
        """FEATURES_DIGEST comes from the network whose output goes in, REQUEST_DIGEST from the step of the edges."""
        made = {outer: step for step in self.steps for outer in step.output_map.values()}
        edges_and_scores = ("EDGE_SCORES", "EDGE_INDEX")
        tensors = {"frnn": ("EMBEDDING", None), "applyfilter": edges_and_scores, "wcc": edges_and_scores}
        for step in self.steps:
            of_network, of_edges = tensors.get(step.model_name, (None, None))
            for digest, beside in (("FEATURES_DIGEST", of_network), ("REQUEST_DIGEST", of_edges)):
                assert (digest in step.input_map) == (beside is not None)
                if beside is not None:
                    assert made[step.input_map[digest]] is made[step.input_map[beside]]


def joins(source: TensorSpec, target: TensorSpec) -> bool:
    """Whether one tensor can be handed on as another: the same type and rank, and no two fixed sizes that differ."""
    return (
        source.datatype == target.datatype
        and len(source.dims) == len(target.dims)
        and all(VARIABLE in pair or pair[0] == pair[1] for pair in zip(source.dims, target.dims, strict=True))
    )


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        (TensorSpec("a", "FP32", (-1, 3)), True),
        (TensorSpec("a", "FP32", (-1, -1)), True),
        (TensorSpec("a", "FP32", (-1, 2)), False),
        (TensorSpec("a", "INT64", (-1, 3)), False),
        (TensorSpec("a", "FP32", (-1,)), False),
    ],
)
def test_joins_tells_apart(source: TensorSpec, *, fits: bool) -> None:
    assert joins(source, TensorSpec("b", "FP32", (-1, 3))) is fits


class TestWorkingPoint:
    """The numbers in the configurations."""

    def test_the_custom_backend_serves_the_networks_of_the_ensemble(self) -> None:
        parameters = config("exatrkx_custom").parameters
        assert {name: parameters[name].string_value for name in NETWORKS} == {
            name: f"{name}/1/model.pt" for name in NETWORKS
        }

    def test_the_committed_configs_have_the_committed_working_point(self) -> None:
        assert read_working_point(REPOSITORY) == WorkingPoint.load()

    def test_no_parameter_is_left_over(self) -> None:
        not_numbers = {"FORCE_CPU_ONLY_INPUT_TENSORS", "DISABLE_OPTIMIZED_EXECUTION", *NETWORKS}
        not_numbers |= {WEIGHTS, *(f"{network}_{WEIGHTS}" for network in NETWORKS)}
        for model in MODELS:
            assert set(config(model).parameters) - not_numbers == {*PARAMETERS.get(model, ())} - {*UNLESS_SAID}

    @settings(derandomize=True, max_examples=50, deadline=None)
    @given(
        working_point=st.builds(
            WorkingPoint,
            radius=st.floats(1e-30, 1e30),
            max_neighbors=st.integers(1, 10**9),
            filter_cut=st.floats(0, 1),
            gnn_cut=st.floats(0, 1),
            min_hits=st.integers(1, 100),
            max_edges=st.integers(1, 2**62),
            track_building=st.sampled_from(TRACK_BUILDING),
        )
    )
    def test_what_is_written_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, working_point: WorkingPoint
    ) -> None:
        repository = copy_configs(tmp_path_factory.mktemp("repository"))
        write_files(edited_configs(repository, working_point))
        assert read_working_point(repository) == working_point
        for model, names in PARAMETERS.items():
            parameters = {name: entry.string_value for name, entry in config(model, repository).parameters.items()}
            read = working_point_of(model, parameters)
            assert {name: getattr(read, name) for name in names} == {
                name: getattr(working_point, name) for name in names
            }

    def test_only_numbers_change(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        write_files(
            edited_configs(repository, WorkingPoint(radius=7.5, max_neighbors=7, filter_cut=0.75, gnn_cut=0.125))
        )
        for model in MODELS:
            before = (REPOSITORY / model / "config.pbtxt").read_text().splitlines()
            after = (repository / model / "config.pbtxt").read_text().splitlines()
            assert len(after) == len(before)
            for old, new in zip(before, after, strict=True):
                assert old.partition('string_value: "')[0] == new.partition('string_value: "')[0]
                assert old.partition('" }')[2] == new.partition('" }')[2]

    def test_weights_are_written_to_their_model_and_to_the_custom_backends(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        edited = edited_configs(repository, WorkingPoint.load(), {"filter": "ab", "gnn": "cd"})
        assert {path.parent.name for path in edited} == {"filter", "gnn", "exatrkx_custom"}
        write_files(edited)
        found = {name: config(name, repository).parameters for name in ("filter", "gnn", "exatrkx_custom")}
        assert [found[name][WEIGHTS].string_value for name in ("filter", "gnn")] == ["ab", "cd"]
        assert [found["exatrkx_custom"][f"{name}_{WEIGHTS}"].string_value for name in ("filter", "gnn")] == ["ab", "cd"]
        assert edited_configs(repository, WorkingPoint.load(), {"filter": "ab"}) == {}

    def test_writing_again_changes_nothing(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        write_files(edited_configs(repository, read_working_point(REPOSITORY)))
        for model in MODELS:
            name = f"{model}/config.pbtxt"
            assert (repository / name).read_text() == (REPOSITORY / name).read_text()

    def test_a_missing_parameter_is_named_and_no_file_changed(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        path = repository / "wcc" / "config.pbtxt"
        path.write_text(path.read_text().replace('"min_hits"', '"minimum"'))
        before = {file: file.read_text() for file in repository.glob("*/config.pbtxt")}
        with pytest.raises(ContractError, match=r"wcc/config\.pbtxt: no parameter min_hits"):
            write_files(
                edited_configs(repository, WorkingPoint(radius=7.5, max_neighbors=7, filter_cut=0.7, gnn_cut=0.1))
            )
        assert {file: file.read_text() for file in repository.glob("*/config.pbtxt")} == before

    def test_a_configuration_is_read_as_protobuf_reads_it(self, tmp_path: Path) -> None:
        """Another spelling of the same, and comments with parameters in them."""
        repository = copy_configs(tmp_path)
        path = repository / "applyfilter" / "config.pbtxt"
        text, _, _ = path.read_text().partition('parameters { key: "filter_cut"')
        path.write_text(text + '# key: "filter_cut" value { string_value: "0.9" }\n')
        with pytest.raises(ContractError, match=r"applyfilter/config\.pbtxt: no parameter filter_cut"):
            read_working_point(repository)
        value = WorkingPoint.load().filter_cut
        path.write_text(path.read_text() + f"parameters: [ <value: <string_value: '{value}'> key: 'filter_cut'> ]\n")
        assert read_working_point(repository) == WorkingPoint.load()
        assert edited_configs(repository, WorkingPoint.load()) == {}, "nothing is to be changed"
        before = path.read_text()
        with pytest.raises(ContractError, match=r"applyfilter/config\.pbtxt: cannot be edited"):
            write_files(edited_configs(repository, replace(WorkingPoint.load(), filter_cut=0.5)))
        assert path.read_text() == before

    def test_what_is_no_configuration_is_refused(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        (repository / "frnn" / "config.pbtxt").write_text('name: "frnn"\nradius: 1.0\n')
        with pytest.raises(ContractError, match=r"frnn/config\.pbtxt: no model configuration: 2:1"):
            read_working_point(repository)

    def test_ensemble_and_custom_backend_must_agree(self, tmp_path: Path) -> None:
        repository = copy_configs(tmp_path)
        write_files(
            edited_configs(repository, WorkingPoint(radius=7.5, max_neighbors=7, filter_cut=0.75, gnn_cut=0.125))
        )
        path = repository / "exatrkx_custom" / "config.pbtxt"
        path.write_text(path.read_text().replace("7.5", "7.25"))
        with pytest.raises(ContractError, match=r"exatrkx_custom/config\.pbtxt: radius is 7\.25, and 7\.5 in another"):
            read_working_point(repository)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"track_building": ""}, r"track_building must be components or contraction, found "),
            ({"gnn_cut": "half"}, r"wcc: parameters of config\.pbtxt: .*half"),
            ({"gnn_cut": "1.5"}, r"gnn_cut must be a probability in \[0, 1\], found 1\.5"),
            ({"min_hits": "2.5"}, r"wcc: parameters of config\.pbtxt: .*2\.5"),
            ({"gnn_cut": "nan"}, r"gnn_cut must be a probability in \[0, 1\], found nan"),
        ],
    )
    def test_a_wrong_parameter_is_refused(self, parameters: dict[str, str], message: str) -> None:
        good = {"gnn_cut": "0.5", "min_hits": "3", "track_building": "components"}
        with pytest.raises(ContractError, match=message):
            working_point_of("wcc", {**good, **parameters})

    def test_a_parameter_that_is_not_there_is_named(self) -> None:
        with pytest.raises(ContractError, match=r"wcc: config\.pbtxt has no parameter min_hits, track_building"):
            working_point_of("wcc", {"gnn_cut": "0.5"})


def copy_configs(target: Path) -> Path:
    for source in REPOSITORY.glob("*/config.pbtxt"):
        (target / source.parent.name).mkdir()
        shutil.copy(source, target / source.parent.name)
    return target
