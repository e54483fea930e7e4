"""The nodes of the contract stage."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from thresher.contracts.expectation import ContractLines
from thresher.contracts.report import ContractReport, summarize
from thresher.contracts.validation import check
from thresher.errors import DataError
from thresher.evaluation import slices
from thresher.evaluation.metrics import find_metric
from thresher.evaluation.selection import Selection
from thresher.evaluation.set_comparison import FurtherSet
from thresher.events import Notice, Step, emit
from thresher.kinds.metric_names import require_defined
from thresher.modalities import EncodingChoice
from thresher.modalities.description import describe
from thresher.modalities.fingerprint import DataFingerprint, fingerprint
from thresher.modalities.samples import Samples
from thresher.modalities.split_compatibility import require_agreement, with_types_of
from thresher.pipelines.types import DataFrame

DOCS_PLACE = "contract/index.html among the artifacts of the MLflow run (thresher ui)"


def fingerprint_data(train: Samples[Any], test: Samples[Any]) -> DataFingerprint:
    """Return the hashes of both raw splits."""
    return fingerprint(train, test)


def describe_samples(train: Samples[Any], test: Samples[Any], encoding: EncodingChoice) -> DataFrame:
    """Return the sample table: one row a sample of both splits.

    Raises:
        DataError: test has other classes, columns or shapes than train, or train a column that is not a feature.
    """
    import pandas as pd  # only where the node runs: it takes seconds

    require_agreement(train, test)
    splits = (("train", train), ("test", with_types_of(train, test)))
    tables = [describe(samples, split, encoding.root) for split, samples in splits]
    return pd.concat(tables, ignore_index=True)


def cut_slices(sample_table: DataFrame, selection: Selection) -> DataFrame:
    """Return the part of each test sample, a column for each of ``selection.slices.by``: before anything is trained.

    Raises:
        DataError: a column that the sample table has not, or that does not make parts.
    """
    assert selection.slices is not None
    return slices.cut_slices(sample_table, selection.slices)


def count_classes(train: Samples[Any], test: Samples[Any], metrics: list[str]) -> np.ndarray:
    """Return how many test samples each class has, int64 [K], before anything is trained.

    Args:
        metrics: those that the recipe names, of which each must have a value of these labels.

    Raises:
        DataError: one has none, or is of a class that is not there.
    """
    require_agreement(train, test)
    known = with_types_of(train, test).labels if not train.class_names else test.labels[test.labels >= 0]
    require_defined(map(find_metric, metrics), known, train.class_names)
    return np.bincount(known, minlength=len(train.class_names)) if train.class_names else np.zeros(0, dtype=np.int64)


def describe_test_set(
    train: Samples[Any],
    test_set: Samples[Any],
    sample_table: DataFrame,
    encoding: EncodingChoice,
    about: FurtherSet,
) -> DataFrame:
    """Return the sample table with a further test set in the place of test.

    Raises:
        DataError: it has other classes, columns or shapes than train, samples of test, or gives a metric no value.
    """
    import pandas as pd

    try:
        require_agreement(train, test_set)
        alike = with_types_of(train, test_set)
        require_defined(map(find_metric, about.metrics), alike.labels, train.class_names)
    except DataError as error:
        raise DataError(f"data.tests.{about.name}, {about.entry}: {error}") from error
    rows = describe(alike, "test", encoding.root)
    known = set(sample_table.loc[sample_table["split"] == "test", "content_hash"])
    both = np.flatnonzero(rows["content_hash"].isin(known))
    if len(both):
        raise DataError(
            f"data.tests.{about.name}, {about.entry}: {len(both):,} of {len(rows):,} samples are in data.test as well, "
            f"such as {alike.place(int(both[0]))}: together they would count twice. Fix: samples of its own; parts of "
            "the test split are judged apart by selection.slices."
        )
    return pd.concat([sample_table[sample_table["split"] == "train"], rows], ignore_index=True)


def check_test_set(
    set_table: DataFrame,
    fingerprint: DataFingerprint,
    contract: ContractLines,
    encoding: EncodingChoice,
    about: FurtherSet,
) -> tuple[ContractReport, dict[str, bytes]]:
    """Return the report and the Data Docs of the contract, and of leaks, with a further test set in place of test."""
    report, docs = check_contract(set_table, fingerprint, contract, encoding)
    place = DOCS_PLACE.replace("contract/", f"contract/{about.name}/", 1)
    return report.model_copy(update={"docs_path": place, "test_set": about.name}), docs


def check_contract(
    sample_table: DataFrame, fingerprint: DataFingerprint, contract: ContractLines, encoding: EncodingChoice
) -> tuple[ContractReport, dict[str, bytes]]:
    """Return the contract's report and its Data Docs, whether it holds or not: the next stage is what stops."""
    emit(Step("Great Expectations reads the sample table"))
    with tempfile.TemporaryDirectory(prefix="thresher-") as name:
        folder = Path(name)
        names, notes = fingerprint.class_names, fingerprint.notes
        result = check(sample_table, contract.root, names, encoding.root, folder, notes)
        docs = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for sentence in summarize(result) if result.success else ():
        emit(Notice(sentence))
    # Where a person finds it; the folder it was made in is gone by then.
    return result.model_copy(update={"docs_path": DOCS_PLACE}), docs
