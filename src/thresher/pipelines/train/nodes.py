"""The nodes of the training stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher import modalities
from thresher.candidate_failure import CandidateFailure, attempt
from thresher.contracts.report import ContractReport, require
from thresher.errors import DataError
from thresher.evaluation.corruptions import CorruptionChoice, corrupt, describe_settings
from thresher.evaluation.corruptions.examples import CorruptionExamples, choose_examples
from thresher.events import Notice, Step, emit
from thresher.machine import require_memory
from thresher.modalities import AnyEncoder, EncodingChoice
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import check_learnable, output_of
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.split import mark_held_out
from thresher.models import FLOAT, ModelChoice
from thresher.models.imported.config import Checkpoint, GraphModel, ModelFile
from thresher.models.imported.findings import Imported
from thresher.models.pretrained.folder import PretrainedFolder
from thresher.pipelines.types import Checkpoints, Figure, Network
from thresher.training import Training
from thresher.training.execution import ChosenExecution, default_execution
from thresher.training.history import RangeTest, TrainingHistory
from thresher.training.hpo import SearchResult
from thresher.training.plots import plot_range_test, plot_search


def hold_out(
    train: Samples[Any],
    contract_report: ContractReport,
    task: str,
    validation: float,
    seed: int,
    *set_reports: ContractReport,
) -> np.ndarray:
    """Return a bool array [N], true for the samples of ``train`` that validate and are not learned from.

    Args:
        task: what the recipe says; the data must agree.
        validation: their share, of each class alike, or the last by `order` of the catalog entry.
        set_reports: of the contract with each further test set.

    Raises:
        ContractError: the data breaks its contract; nothing after this runs.
        DataError: too few samples to split, data for another task, or labels that are all alike.
    """
    for report in (contract_report, *set_reports):
        require(report)
    if train.task != task:
        has = "classes" if train.class_names else "numbers"
        raise DataError(f"The recipe's task is {task}, but the labels are {has}. Fix: task: {train.task}.")
    check_learnable(train)
    held_out = mark_held_out(train, validation, seed)
    if not held_out.any() or held_out.all():
        what = "one per class, or all with one content, one group or one time"
        raise DataError(f"{len(train)} training samples, {what}, leave none to validate with. Fix: add samples.")
    return held_out


def fit_encoder(
    train: Samples[Any], held_out: np.ndarray, encoding: EncodingChoice, pretrained: PretrainedFolder | None = None
) -> Encoder:
    """Return what turns raw input into tensors: fitted on the training split alone, or a pretrained model's own."""
    if pretrained is not None:
        return modalities.read_pretrained(pretrained.files, pretrained.name, encoding.root, train.take(~held_out))
    return modalities.fit_encoder(train.take(~held_out), encoding.root)


def encode_samples(
    train: Samples[Any], test: Samples[Any], held_out: np.ndarray, encoder: AnyEncoder
) -> tuple[EncodedSamples, EncodedSamples, EncodedSamples]:
    """Return the training, validation and test samples as the model takes them.

    Raises:
        DataError: a sample that cannot be encoded, with its place; or not enough memory for all.
    """
    _require_memory(train, test, encoder)
    splits = (train.take(~held_out), train.take(held_out), test)
    training, validation, tested = (modalities.encode(encoder, split) for split in splits)
    return training, validation, tested


def encode_test_set(test_set: Samples[Any], encoder: AnyEncoder, set_report: ContractReport) -> EncodedSamples:
    """Return a further test set as the model takes it.

    Raises:
        ContractError: it breaks the contract.
        DataError: a sample that cannot be encoded, with its place.
    """
    require(set_report)
    return modalities.encode(encoder, test_set)


def corrupt_test(
    test: Samples[Any], encoder: AnyEncoder, contract_report: ContractReport, corruption: CorruptionChoice
) -> tuple[EncodedSamples, CorruptionExamples]:
    """Return the test samples, corrupted as they are raw and then encoded, and some of them before and after.

    Raises:
        DataError: the corruption cannot be made of these samples, or what it makes cannot be encoded.
    """
    require(contract_report)
    corrupted, words = corrupt(test, corruption.root), describe_settings(corruption.root)
    examples = choose_examples(test, corrupted, words)
    if not examples.num_changed:
        emit(Notice(f"data.corruptions, {words}: it changes none of the {len(test):,} test samples"))
    try:
        return modalities.encode(encoder, corrupted), examples
    except DataError as error:
        # Its place and its fix are those of raw data, which is sound.
        raise DataError(
            f"data.corruptions, {words}: what it makes of the test samples is refused. {error}"
            " That is of the corrupted samples, not of the data: make the corruption weaker."
        ) from error


def _require_memory(train: Samples[Any], test: Samples[Any], encoder: AnyEncoder) -> None:
    """Check that there is room for what `encode_samples` makes of pictures, which alone take as much as they will."""
    if not isinstance(train.inputs, np.ndarray) or train.inputs.ndim != 4:
        return
    count, takes = len(train) + len(test), encoder.model_input
    made = 0 if takes.longest == train.inputs.shape[1:] else takes.sample_bytes * count
    what = f"a copy of {len(train):,} pictures" + (f" and {count:,} encoded ones" if made else "")
    require_memory(train.inputs.nbytes + made, what, "smaller or fewer pictures, or a machine with more memory.")


def choose_execution(
    training_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
    begins_with: PretrainedFolder | ModelFile | None = None,
) -> ChosenExecution:
    """Return how this machine trains the recipe's model fastest, by a short timed trial."""
    from thresher.training import autotune as trial

    emit(Step("a timed trial of memory formats and threads"))
    network = _network(encoder, training_samples, model, training, begins_with)
    return trial.choose_execution(network, training_samples, training)


def find_learning_rate(
    training_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
    execution: ChosenExecution,
    begins_with: PretrainedFolder | ModelFile | None = None,
) -> tuple[Training, RangeTest, Figure]:
    """Return the training with the learning rate that a range test finds, the test, and its plot."""
    from thresher.training import range_test

    emit(Step("learning-rate range test"))
    network = _network(encoder, training_samples, model, training, begins_with)
    result = range_test.find_learning_rate(network, training_samples, training, execution)
    optimizer = training.optimizer.model_copy(update={"lr": result.learning_rate})
    found = training.model_copy(update={"optimizer": optimizer, "learning_rate": None})
    return found, result, plot_range_test(result)


def search_training(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
    execution: ChosenExecution | None,
    checkpoints: Checkpoints,
    begins_with: PretrainedFolder | ModelFile | None = None,
) -> tuple[ModelChoice, Training, SearchResult, Figure]:
    """Return the model and the training of the best trial, all trials, and their plot."""
    from thresher.training.hpo_trials import SearchTask, search_settings

    output = output_of(training_samples)
    samples = (training_samples, validation_samples)
    task = SearchTask(encoder.model_input, output, *samples, model, training, execution, checkpoints, begins_with)
    best_model, best_training, result, study = search_settings(task)
    figure = plot_search(study)
    checkpoints.clear()
    return best_model, best_training, result, figure


def train_float(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
    execution: ChosenExecution,
    checkpoints: Checkpoints,
    begins_with: PretrainedFolder | ModelFile | None = None,
) -> tuple[Network, TrainingHistory]:
    """Return the trained float network and its history."""
    from thresher.training.loop import train

    network = _network(encoder, training_samples, model, training, begins_with, tells=True)
    samples = (training_samples, validation_samples)
    trained = train(network, *samples, training, FLOAT, execution, checkpoints)
    checkpoints.clear()
    return trained


def search_fit(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
    checkpoints: Checkpoints,
) -> tuple[ModelChoice, Training, SearchResult, Figure]:
    """Return what `search_training` does, of a model that is no network: no timed trial says how to train it."""
    samples = (training_samples, validation_samples)
    return search_training(*samples, encoder, model, training, None, checkpoints)


def fit_model(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
) -> tuple[bytes, TrainingHistory]:
    """Return the float model's ONNX file, of a model that is no network, and the history of its steps."""
    from thresher.training.fitting import fit

    return fit(model, encoder.model_input, (training_samples, validation_samples), training, FLOAT)


def answer_out_of_fold(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
    training: Training,
) -> np.ndarray:
    """Return what a float model that is no network teaches of each training sample: it did not learn from that one."""
    from thresher.training import fitting

    return fitting.answer_out_of_fold(model, encoder.model_input, (training_samples, validation_samples), training)


def fit_reference(
    training_samples: EncodedSamples, validation_samples: EncodedSamples, encoder: AnyEncoder, seed: int
) -> bytes | CandidateFailure:
    """Return the ONNX file of trees that stand beside the float model, or why there are none."""
    from thresher.evaluation.reference import ROW
    from thresher.models.boosted_trees.config import BoostedTrees
    from thresher.models.boosted_trees.fit import fit_boosted_trees
    from thresher.models.fitted import FitData

    def make() -> bytes:
        output = output_of(training_samples)
        data = FitData(encoder.model_input, output, training_samples, validation_samples, seed)
        fitted = fit_boosted_trees(BoostedTrees(), data)
        emit(Step(f"boosted trees to stand beside float: {fitted.summary}"))
        return fitted.onnx_file

    return attempt(ROW, fit_reference.__name__, make)


def plan_execution(training: Training) -> ChosenExecution:
    """Return how students of a float model that is no network are trained: there is none yet that could be timed."""
    return default_execution(training.execution, None)


def import_model(
    model_file: ModelFile,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
) -> tuple[bytes, Imported]:
    """Return the float model's ONNX file, made of a graph that was trained elsewhere, and how it was understood."""
    from thresher.models.imported.graph import import_graph

    assert isinstance(model.root, GraphModel)
    return import_graph(model_file, model.root, encoder, (training_samples, validation_samples))


def import_network(
    model_file: ModelFile,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    model: ModelChoice,
) -> tuple[Network, Imported]:
    """Return the float network with weights that were trained elsewhere, and how good it is."""
    from thresher.models.imported.checkpoint import import_checkpoint

    assert isinstance(model.root, Checkpoint)
    return import_checkpoint(model_file, model.root, encoder, (training_samples, validation_samples))


def _network(
    encoder: AnyEncoder,
    samples: EncodedSamples,
    model: ModelChoice,
    training: Training,
    begins_with: PretrainedFolder | ModelFile | None,
    tells: bool = False,
) -> Network:
    """Return the network that training begins with."""
    from thresher.models.start import build_start

    return build_start(model.root, encoder.model_input, output_of(samples), training.seed, begins_with, tells)
