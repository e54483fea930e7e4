"""What every technique may use besides the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import EncodedSamples
from thresher.training import Training
from thresher.training.execution import ChosenExecution

if TYPE_CHECKING:
    from thresher.models.network import Network
    from thresher.models.pretrained.folder import PretrainedFolder
    from thresher.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class CalibrationData:
    """What a technique on an ONNX file may use: validated training samples, from which it draws by the seed.

    Attributes:
        candidate: whose file it is, for errors.
    """

    candidate: str
    input: ModelInput
    """What the encoder makes, and the model takes."""
    training_samples: EncodedSamples
    seed: int
    batch_sizes: tuple[int, ...] = (1, 32)
    """What is timed, is timed at these."""
    threads: int = 1
    """The threads of a session that is timed."""
    validation_samples: EncodedSamples | None = None
    """The samples on which choices are made; no ranges are read from them. Without them the first of all choices is
    used."""


@dataclass(frozen=True)
class CompressionData:
    """What a technique on a network may use: validated samples, and how the float model was trained.

    Never the test split.

    Attributes:
        candidate: what finetuning is called in progress reports and metrics.
    """

    candidate: str
    input: ModelInput
    """What the encoder makes, and the model takes."""
    training_samples: EncodedSamples
    validation_samples: EncodedSamples
    training: Training
    execution: ChosenExecution | None = None
    """How this machine trains fastest; without a trial where it is None."""
    checkpoints: Checkpoints | None = None
    """The folder from which a finetuning that was killed resumes."""
    teachers: Mapping[str, Network | np.ndarray] = field(default_factory=dict)
    """Candidate -> its network, for those that a step distills from; the float model is always there. In place of a
    float model that is no network, what it answers to the training samples: `Teaching` says how."""
    folders: Mapping[str, PretrainedFolder] = field(default_factory=dict)
    """Path -> the pretrained folder that a student begins with, which fits what the encoder makes."""
