"""The exported file is one file, gives torch's answers, and takes raw pixels in any batch."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from thresher.errors import ParityError
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.models.network import Network


@pytest.fixture(scope="module")
def model(float_onnx: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(float_onnx)


def altered(model: onnx.ModelProto, name: str, factor: float) -> bytes:
    """Return the file with one tensor multiplied."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    (tensor,) = (tensor for tensor in copy.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(factor), name))
    return copy.SerializeToString()


def test_the_file_gives_torchs_answers(trained: Network, float_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    assert 0 <= check_parity(trained, float_onnx, digits.test.inputs) < 1e-5


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_an_altered_file_is_told_with_how_far_it_is_off(
    factor: float, trained: Network, model: onnx.ModelProto, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    file = altered(model, "network.body.fc2.weight", factor)
    with pytest.raises(ParityError, match=r"differ from torch's by up to .* on 539 samples; at most 1e-04 is allowed"):
        check_parity(trained, file, digits.test.inputs[:539])


@pytest.mark.parametrize("batch", [1, 2, 7, 300])
def test_any_batch_of_raw_pixels_gives_probabilities_that_sum_to_1(
    batch: int, float_onnx: bytes, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    probabilities = predict(open_session(float_onnx, 1), digits.test.inputs[:batch], grey)
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (batch, 10))
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_a_batch_gives_each_sample_what_it_gets_alone(float_onnx: bytes, grey: ImageInput, digits) -> None:  # type: ignore[no-untyped-def]
    session, inputs = open_session(float_onnx, 1), digits.test.inputs[:3]
    alone = np.concatenate([predict(session, inputs[index : index + 1], grey) for index in range(3)])
    np.testing.assert_allclose(predict(session, inputs, grey), alone, atol=1e-6)


def test_input_and_output_are_named_and_typed_as_the_service_reads_them(model: onnx.ModelProto) -> None:
    def signature(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
        kind = value.type.tensor_type
        return value.name, kind.elem_type, [size.dim_param or size.dim_value for size in kind.shape.dim]

    (image,), (probabilities,) = model.graph.input, model.graph.output
    assert signature(image) == ("image", onnx.TensorProto.UINT8, ["batch", 1, 8, 8])
    assert signature(probabilities) == ("probabilities", onnx.TensorProto.FLOAT, ["batch", 10])


def test_the_file_is_whole_and_holds_no_debug_text(model: onnx.ModelProto, float_onnx: bytes) -> None:
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    parts = [*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer, model.graph, model]
    assert not any(part.doc_string or part.metadata_props for part in parts)
    assert b".py" not in float_onnx
    assert b"pkg.torch" not in float_onnx


def test_exporting_leaves_the_network_as_it_is_and_prints_nothing(
    trained: Network, float_onnx: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    assert len(export_onnx(trained)) == len(float_onnx)
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())
    assert capfd.readouterr() == ("", "")


def test_operators_with_weights_are_named_by_their_torch_layer(model: onnx.ModelProto) -> None:
    named = [(node.name, node.op_type) for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert named == [("conv1", "Conv"), ("conv2", "Conv"), ("fc1", "Gemm"), ("fc2", "Gemm")]
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
