"""The training loop: reads top to bottom; the data set lives on the device, no Python loop over samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.process_state import exclusive_access, yield_access
from thresher.training import Training
from thresher.training.batches import load_batches
from thresher.training.checkpointer import Saver, log_resume, report_again, report_epoch
from thresher.training.checkpoints import Checkpoints, key_of
from thresher.training.devices import choose_device
from thresher.training.distillation import Teaching
from thresher.training.divergence import DivergenceMonitor
from thresher.training.execution import ChosenExecution, default_execution
from thresher.training.history import Epoch, TrainingHistory
from thresher.training.schedules import rate_factor
from thresher.training.train_state import TrainState
from thresher.training.trainer import Trainer
from thresher.training.validation import EVALUATION_BATCH, METRIC, BestBy, judge

STEPS_A_REPORT = 50


def train(
    network: Network,
    training: EncodedSamples,
    validation: EncodedSamples,
    config: Training,
    name: str,
    execution: ChosenExecution | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    teaching: Teaching | None = None,
) -> tuple[Network, TrainingHistory]:
    """Return a trained copy of ``network`` and what became of it, epoch by epoch.

    Weights that are exactly zero, as `prune_weights` leaves them, stay zero. The same arguments give the same weights
    to the last bit on the same machine, also where a training continues from a checkpoint.

    Args:
        network: left as it is.
        training: the samples to learn from.
        validation: judges each epoch; never learned from.
        config: learning_rate and search are the caller's; everything else is done here.
        name: what the training is called in progress reports and metrics.
        execution: memory format, compiling and threads; without a trial where it is None.
        checkpoints: where a training with the same arguments continues, and leaves its state; they are the caller's
            to clear.
        on_epoch: called after every epoch, those done before a continuation among them; what it raises ends the
            training.
        teaching: another network to learn from, besides the labels.

    Raises:
        DataError: ``config.best_by`` has no value on the validation samples.
        TrainingError: a loss that is not finite, memory that does not suffice for one sample, or no such device.
    """
    device = choose_device(config.device)
    chosen = execution or default_execution(config.execution, network)
    # Compiling changes torch for all threads.
    with torch_threads(chosen.threads), exclusive_access() if chosen.compile else nullcontext():
        return _train(network, training, validation, config, name, chosen, checkpoints, on_epoch, teaching, device)


def _train(
    network: Network,
    training: EncodedSamples,
    validation: EncodedSamples,
    config: Training,
    name: str,
    execution: ChosenExecution,
    checkpoints: Checkpoints | None,
    on_epoch: Callable[[Epoch], None] | None,
    teaching: Teaching | None,
    device: torch.device,
) -> tuple[Network, TrainingHistory]:
    metric = METRIC[network.spec.output.kind]
    best_by = BestBy(config.best_by, validation)
    learned = load_batches(training, network.spec, device, config.memory_limit_mb)
    order = learned.order(config, config.epochs)
    judging = load_batches(validation, network.spec, device, config.memory_limit_mb)
    learner = Trainer(network, config, execution, training.labels, device, order.size, teaching)
    key = key_of(network, training, validation, config, execution, name, teaching) if checkpoints is not None else ""
    saver = Saver(checkpoints, name, key, config.checkpoint_seconds)
    at = saver.restore(learner)
    guard = DivergenceMonitor(name, training, at, device, saver.last)
    evaluation_batch = EVALUATION_BATCH
    if at.step:
        report_again(at, name, metric, config.epochs, on_epoch)
        log_resume(at, name, order.total_steps)
    if not at.finished:
        learner.ask_teacher(learned)
    while not at.finished:
        learner.network.train()
        for batch in learned.iterate(order.of_epoch(at.epoch)[at.step - (at.epoch - 1) * order.steps_an_epoch :]):
            factor = rate_factor(config.schedule, at.step, order.total_steps)
            learner.set_rate(factor)
            yield_access()
            loss = learner.learn(batch)
            at.step += 1
            guard.watch(loss, batch)
            if at.step % STEPS_A_REPORT == 0 or at.step == order.total_steps:
                guard.look()
                at.report_step(name, order.total_steps, config.optimizer.lr * factor)
            if saver.is_due():
                guard.look()
                saver.save(learner, at)
        guard.look()
        validation_loss, value, evaluation_batch = judge(learner.judged, judging, evaluation_batch, best_by.learned)
        guard.check_validation(validation_loss)
        figure = best_by.figure(network.spec.output)
        epoch = at.finish_epoch(validation_loss, value, figure)
        score = best_by.score(validation_loss, figure)
        if score < at.best_score:
            at.best_score, at.best_epoch = score, epoch.epoch
            learner.keep_as_best()
        at.finished = epoch.epoch == config.epochs or _stops_early(at, config)
        if saver.is_due_after_epoch(at):
            saver.save(learner, at)
        report_epoch(epoch, name, metric, config.epochs)
        if on_epoch is not None:
            on_epoch(epoch)
    best = at.best_epoch if config.keep == "best" else len(at.epochs)
    epochs = tuple(Epoch.model_validate(epoch) for epoch in at.epochs)
    history = TrainingHistory(device=str(device), metric=metric, epochs=epochs, best_epoch=best, best_by=config.best_by)
    return learner.result(), history


def _stops_early(at: TrainState, config: Training) -> bool:
    return config.early_stopping is not None and len(at.epochs) - at.best_epoch >= config.early_stopping


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads of the CPU for one operation, in the block alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
