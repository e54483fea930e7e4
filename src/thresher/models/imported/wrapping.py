"""A graph from outside with Thresher's own input and output around it: everything else works on it unchanged."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, compose, helper

from thresher.errors import DataError
from thresher.modalities import modality_of
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import EncodedSamples
from thresher.modalities.text.encoder import TextEncoder
from thresher.models.imported.adapter import CORE, build_adapter
from thresher.models.imported.batch import free_batch
from thresher.models.imported.config import GraphModel, ModelFile
from thresher.models.imported.findings import Imported, doubt_channels, doubt_order, score
from thresher.models.imported.inputs import GraphInputs, bind_constants, choose_inputs
from thresher.models.imported.onnx_session import alike, naming_the_file, run
from thresher.models.imported.outputs import Answers, build_tail, choose_output, say, understand
from thresher.models.imported.read_onnx import opset_of
from thresher.models.imported.text_adapter import refuse_larger_vocabulary
from thresher.onnx_graph import optimize_portably

SAMPLES = 64
"""Real ones that show what the graph answers."""
SCORED = 64
TRIED = 512
"""Samples on which it is tried whether the graph wants blue first."""
"""Samples in one call while it is scored."""
EXPORT_FIX = "check the model with `onnxruntime` alone, and export it again."


@dataclass(frozen=True)
class _Parts:
    """What stands one after the other."""

    adapter: ModelProto
    core: ModelProto
    inputs: GraphInputs
    output: onnx.ValueInfoProto
    answers: Answers


def wrap_graph(
    model: ModelProto,
    config: GraphModel,
    encoder: Encoder,
    samples: tuple[EncodedSamples, EncodedSamples],
    source: ModelFile,
) -> tuple[bytes, Imported]:
    """Return ``model`` as a float ONNX file of Thresher's own form, and how it was understood.

    Args:
        samples: training and validation samples. The graph's form is read off the first, its quality off the second.
        source: the file that the model comes from.

    Raises:
        DataError: what keeps it from taking these samples or answering them, with the fix.
    """
    (training, validation), file = samples, source.name
    inputs = encoder.model_input.trim(training.inputs[:SAMPLES])
    with naming_the_file(file, EXPORT_FIX):
        parts = _understand(model, config, encoder, inputs, file)
    output = output_of(training)
    whole = _join(parts, output.name).SerializeToString()
    name = encoder.model_input.name
    with naming_the_file(file, EXPORT_FIX):
        whole, notes = _optimize(whole, name, output.name, inputs)
        if isinstance(encoder, TextEncoder):
            _try_longest(whole, name, output.name, encoder, file)
        outputs = _predict(whole, name, output.name, encoder, validation)
        colours = _doubt_channels(whole, (name, output.name), encoder, validation, outputs)
    metric, value, baseline = score(outputs, validation)
    doubts = tuple(filter(None, (doubt_order(outputs, validation, "model.class_names", parts.answers.order), colours)))
    found = Imported(
        file=config.path,
        sha256=hashlib.sha256(b"".join(source.contents)).hexdigest(),
        takes=parts.inputs.sentence,
        answers=say(parts.output, parts.answers),
        opset=opset_of(parts.core),
        metric=metric,
        value=value,
        baseline=baseline,
        num_samples=len(validation),
        notes=(*notes, *doubts),
    )
    if not found.is_informative:
        options = ", ".join((*modality_of(encoder).graph_options, "class_names"))
        doubt = f"It is no better than {_ignorant(metric)} ({baseline:.4f}): check {options}"
        found = found.model_copy(update={"notes": (*found.notes, doubt)})
    return whole, found


def _understand(model: ModelProto, config: GraphModel, encoder: Encoder, inputs: np.ndarray, file: str) -> _Parts:
    chosen = choose_inputs(model, config, isinstance(encoder, TextEncoder), file)
    output = choose_output(model, config, file)
    if isinstance(encoder, TextEncoder):
        refuse_larger_vocabulary(model, chosen.samples.name, encoder.vocabulary_size, file)
    adapter = build_adapter(encoder, config, chosen, file)
    written, given = adapter.SerializeToString(), {encoder.model_input.name: inputs}
    fed = {each.name: run(written, given, f"{CORE}{each.name}", len(inputs)) for each in chosen.values}
    core = free_batch(bind_constants(model, config, fed), fed, output.name, file)
    outputs = run(core.SerializeToString(), fed, output.name, len(inputs))
    return _Parts(adapter, core, chosen, output, understand(outputs, encoder.class_names, config, file))


def _join(parts: _Parts, output: str) -> ModelProto:
    """Return the three graphs as one; the names of its operators are those of the file."""
    core = compose.add_prefix(parts.core, CORE, rename_nodes=False, rename_functions=False)
    renamed = onnx.ValueInfoProto()
    renamed.CopyFrom(parts.output)
    renamed.name = f"{CORE}{parts.output.name}"
    tail = build_tail(renamed, parts.answers, output).graph
    graph = helper.make_graph(
        [*parts.adapter.graph.node, *core.graph.node, *tail.node],
        "thresher",
        list(parts.adapter.graph.input),
        list(tail.output),
        [*parts.adapter.graph.initializer, *core.graph.initializer, *tail.initializer],
    )
    opsets = list(core.opset_import)
    if not any(entry.domain in ("", "ai.onnx") for entry in opsets):
        opsets.append(helper.make_opsetid("", 17))
    return helper.make_model(graph, opset_imports=opsets, functions=core.functions, ir_version=core.ir_version)


def _optimize(content: bytes, name: str, output: str, inputs: np.ndarray) -> tuple[bytes, tuple[str, ...]]:
    """Return the file with constants folded, as every float model is, where that leaves its answers as they are."""
    expected = run(content, {name: inputs}, output, len(inputs))
    try:
        smaller = optimize_portably(content)
        if alike(expected, run(smaller, {name: inputs}, output, len(inputs))):
            return smaller, ()
        why = "changes its answers"
    except Exception as error:  # onnxslim and ONNX Runtime raise whatever they stumble on
        why = f"fails: {str(error).strip().partition(os.linesep)[0]}"
    return content, (f"It is not folded and cleaned as other float models are, since that {why}",)


def _predict(content: bytes, name: str, output: str, encoder: Encoder, samples: EncodedSamples) -> np.ndarray:
    starts = range(0, len(samples), SCORED)
    batches = [encoder.model_input.trim(samples.inputs[start : start + SCORED]) for start in starts]
    return np.concatenate([run(content, {name: batch}, output, len(batch)) for batch in batches])


def _try_longest(content: bytes, name: str, output: str, encoder: TextEncoder, file: str) -> None:
    """Raise a DataError where the graph fails at the longest text, or at the last token: no sample need show it."""
    text = encoder.model_input.example(1)
    text[0, -1] = encoder.vocabulary_size - 1
    try:
        run(content, {name: text}, output, 1)
    except Exception as error:  # ONNX Runtime's share no base class
        first = str(error).strip().partition(os.linesep)[0]
        raise DataError(
            f"{file}: does not run on a text of {encoder.max_length} tokens up to {encoder.vocabulary_size - 1:,} "
            f"({first}). Fix: a data.encoding.max_length that it has places for, or the tokenizer it was trained with."
        ) from error


def _doubt_channels(
    content: bytes, names: tuple[str, str], encoder: Encoder, samples: EncodedSamples, outputs: np.ndarray
) -> str:
    """Return whether the graph answers better where red and blue are exchanged, on as many samples as are tried."""
    given = encoder.model_input
    if "channel_order" not in modality_of(given).graph_options or given.longest[0] != 3 or not samples.class_names:
        return ""
    some = samples.take(np.arange(min(len(samples), TRIED)))
    exchanged = some.with_inputs(np.ascontiguousarray(some.inputs[:, ::-1]))
    return doubt_channels(outputs[: len(some)], _predict(content, *names, encoder, exchanged), some)


def _ignorant(metric: str) -> str:
    return "the most frequent class" if metric == "accuracy" else "the mean of the labels"
