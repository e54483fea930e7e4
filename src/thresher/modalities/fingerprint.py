"""Which data a model was made and judged on, as hashes of its content."""

from __future__ import annotations

from thresher.config import Config
from thresher.modalities.samples import Samples


class DataFingerprint(Config):
    """SHA-256 of each raw split, its number of samples, and its classes where it has any."""

    train_sha256: str
    test_sha256: str
    num_train_samples: int
    num_test_samples: int
    class_names: tuple[str, ...]


def fingerprint(train: Samples, test: Samples) -> DataFingerprint:
    """Return the fingerprint of the two raw splits."""
    return DataFingerprint(
        train_sha256=train.content_hash(),
        test_sha256=test.content_hash(),
        num_train_samples=len(train),
        num_test_samples=len(test),
        class_names=train.class_names,
    )
