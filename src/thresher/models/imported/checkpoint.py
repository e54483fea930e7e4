"""Weights that were trained elsewhere, loaded into one of Thresher's architectures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from thresher.errors import DataError, ThresherError
from thresher.modalities import modality_of
from thresher.modalities.encoder import Encoder
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput, ValueOutput, output_of
from thresher.modalities.samples import EncodedSamples
from thresher.models.imported.architecture import layers_of, match_layers
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.imported.findings import Imported, doubt_order, score
from thresher.models.imported.layer_differences import PREPARATION
from thresher.models.network import Network, NetworkSpec
from thresher.models.safetensors_header import read_header

Weights = dict[str, torch.Tensor]
NESTED = ("state_dict", "model_state_dict", "model", "weights")
"""Keys under which training scripts keep the state dict among other things."""
TORCH_BEGINS = (b"PK\x03\x04", b"\x80")
"""A zip archive, or since before there was one a pickle."""
SCORED = 256
SAFETENSORS_FIX = "save it as safetensors: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')."


def import_checkpoint(
    file: ModelFile, config: Checkpoint, encoder: Encoder, samples: tuple[EncodedSamples, EncodedSamples]
) -> tuple[Network, Imported]:
    """Return the network with the weights of ``file``, in evaluation mode, and how good it is.

    Args:
        samples: training and validation.

    Raises:
        DataError: a file that cannot be read safely, or weights of another network; with the differences.
    """
    training, validation = samples
    weights = read_weights(file)
    network = Network(_spec(config, encoder.model_input, training, weights, file))
    body, how = _name_weights(weights, network, config, file)
    network.body.load_state_dict(body, strict=False)
    network.eval()
    outputs = _predict(network, validation)
    metric, value, baseline = score(outputs, validation)
    found = Imported(
        file=config.path,
        sha256=hashlib.sha256(file.content).hexdigest(),
        takes=f"weights of a {config.architecture}" + (f", {how}" if how else ""),
        answers=f"{sum(weight.numel() for weight in network.body.parameters()):,} parameters",
        metric=metric,
        value=value,
        baseline=baseline,
        num_samples=len(validation),
        notes=tuple(filter(None, [doubt_order(outputs, validation, "class_names in the catalog")])),
    )
    if not found.is_informative:
        doubt = f"It is no better than guessing ({baseline:.4f}): check mean, std, and the order of the classes"
        found = found.model_copy(update={"notes": (*found.notes, doubt)})
    return network, found


def begin_with_checkpoint(
    file: ModelFile, config: Checkpoint, given: ModelInput, output: AnyOutput
) -> tuple[Network, str]:
    """Return a network to be trained further, the weights of ``file`` below its head or a drawn one, and which it is.

    Raises:
        DataError: as `import_checkpoint` does; an architecture that has no linear layer to draw anew.
    """
    weights = read_weights(file)
    network = Network(NetworkSpec(model=config.network, input=_normalized(config, given, weights), output=output))
    head, shapes = network.head_names(), network.body.state_dict()
    body, how = _name_weights(weights, network, config, file)
    fits = head <= body.keys() and all(body[name].shape == shapes[name].shape for name in head)
    own_unit = isinstance(output, ValueOutput) and not config.standardized
    keeps = config.head == "auto" and fits and not own_unit
    body = {name: weight for name, weight in body.items() if keeps or name not in head}
    network.body.load_state_dict(body, strict=False)
    said = f"weights of {config.architecture}" + (f", {how}" if how else "")
    return network, f"{file.name}: {said}; " + ("its own head" if keeps else f"a fresh head of {output.width} outputs")


def _name_weights(weights: Weights, network: Network, config: Checkpoint, file: ModelFile) -> tuple[Weights, str]:
    """Return ``weights`` by the names of the body of ``network``, and how those were found, or ""."""
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    in_order = read_header(file.content) is None
    called, how = match_layers(shapes, layers_of(network), config, in_order, file.name)
    body = {ours: weights[name] for name, ours in called.items()}
    _refuse_infinite(body, file.name)
    return body, how


def read_weights(file: ModelFile) -> Weights:
    """Return the tensors in ``file`` by name; nothing in it is run.

    Raises:
        DataError: neither safetensors nor a state dict, or more than tensors in it.
    """
    if not file.content.startswith(TORCH_BEGINS) or file.content[8:9] == b"{":  # safetensors' header is JSON
        if (header := read_header(file.content)) is not None:
            header.check_size(len(file.content), file.name)
        try:
            return load_safetensors(file.content)
        except SafetensorError as error:
            what = f"neither safetensors nor a state dict of torch ({error})"
            raise DataError(f"{file.name}: {what}. Fix: {SAFETENSORS_FIX}") from error
    try:
        loaded = torch.load(io.BytesIO(file.content), map_location="cpu", weights_only=True)
    except Exception as error:  # of a pickle that is damaged, torch raises whatever it stumbles on
        what = f"holds more than tensors, and reading it could run code ({_reason(error)})"
        raise DataError(f"{file.name}: {what}. Fix: {SAFETENSORS_FIX}") from error
    return _tensors(loaded, file.name)


def _tensors(loaded: Any, name: str) -> Weights:
    for key in NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise DataError(f"{name}: holds no state dict of tensors alone. Fix: {SAFETENSORS_FIX}")
    return {str(key): value for key, value in loaded.items()}


def _spec(
    config: Checkpoint, given: ModelInput, training: EncodedSamples, weights: Weights, file: ModelFile
) -> NetworkSpec:
    output = output_of(training)
    if isinstance(output, ValueOutput) and not config.standardized:
        output = ValueOutput(mean=0.0, std=1.0)
    try:
        return NetworkSpec(model=config.network, input=_normalized(config, given, weights), output=output)
    except ThresherError as error:
        raise DataError(f"{file.name}: {error}") from error


def _normalized(config: Checkpoint, given: Any, weights: Weights) -> Any:
    """Return ``given`` with the mean and deviation that the weights were trained with, where they are known.

    A network that Thresher has saved carries its own; any other's may stand in the recipe.
    """
    if "mean" not in modality_of(given).graph_options:
        if config.mean is not None:
            raise DataError("model.mean: is for images and series. Fix: leave out mean, std and scale.")
        return given
    channels = given.channels
    if config.mean is not None and config.std is not None:
        scale = config.scale or given.SCALE
        for name, values in (("mean", config.mean), ("std", config.std)):
            if len(values) not in (1, channels):
                what = f"{len(values)} values for {channels} channels"
                raise DataError(f"model.{name}: {what}. Fix: give 1 or {channels}.")
        mean, std = (tuple(value / scale for value in values) * (channels if len(values) == 1 else 1)
                     for values in (config.mean, config.std))  # fmt: skip
    elif (kept := weights.get(f"{PREPARATION}scale")) is not None and kept.numel() == channels:
        mean = tuple(weights[f"{PREPARATION}mean"].flatten().tolist())
        std = tuple((1 / kept.flatten()).tolist())
    else:
        return given
    return given.model_copy(update={"mean": mean, "std": std})


def _refuse_infinite(got: Weights, name: str) -> None:
    wrong = [key for key, tensor in got.items() if not torch.isfinite(tensor.float()).all()]
    if wrong:
        raise DataError(f"{name}: {wrong[0]} holds numbers that are not finite. Fix: take another checkpoint.")


def _predict(network: Network, samples: EncodedSamples) -> Any:
    trim = network.spec.input.trim
    starts = range(0, len(samples), SCORED)
    with torch.inference_mode():
        batches = [network.predict(torch.from_numpy(trim(samples.inputs[at : at + SCORED]).copy())) for at in starts]
    return torch.cat(batches).numpy()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    at = text.find("Unsupported global")
    return (text[at:] if at >= 0 else text)[:160]
