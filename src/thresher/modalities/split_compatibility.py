"""Whether two splits speak of the same thing: checked before either is described or learned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from thresher.errors import DataError, list_some, nearest
from thresher.modalities.samples import Samples, hash_each
from thresher.modalities.tabular.table import Table, is_missing

MAX_SHOWN = 5
MANY_CATEGORIES, NEARLY_ALL = 50, 0.8
"""With more categories than this, and than this share of its values, a column of text names rows and no categories."""


def require_agreement(train: Samples[Any], test: Samples[Any]) -> None:
    """Raise a DataError where ``test`` has another task, other classes, columns, shapes or channels than ``train``.

    A column of text of ``train`` whose values are nearly all distinct, and one without any value, is refused as well,
    and so is a split without samples.
    """
    for split, samples in (("train", train), ("test", test)):
        if not len(samples):
            raise DataError(
                f"The {split} data holds no samples. Fix: name another catalog entry, or correct its reader."
            )
    problems = [*_labels(train, test), *_inputs(train, test), *_groups(train, test)]
    if problems:
        raise DataError(f"The test data is not like the training data. {list_some(problems, 'differences')}")
    if isinstance(train.inputs, Table):
        unfit = [problem for name in train.inputs.columns if (problem := _unfit(train, name))]
        if unfit:
            raise DataError(list_some(unfit, "such columns"))


def with_types_of(train: Samples[Any], test: Samples[Any]) -> Samples[Any]:
    """Return ``test`` with columns that have no value at all of the types that they have in ``train``.

    Such a column says nothing of its type, and each split is read alone.
    """
    if not isinstance(train.inputs, Table) or not isinstance(test.inputs, Table):
        return test
    return replace(test, inputs=test.inputs.empty_like(train.inputs))


def _unfit(train: Samples[Any], name: str) -> str:
    """Return why a column of ``train`` is nothing to learn from, with what to write, or ""."""
    column = train.inputs.columns[name]
    given = [value for value in column.tolist() if value is not None and value == value]
    if not given:
        return f"Column '{name}' has no value in train. Fix: 'drop: [{name}]' in both catalog entries."
    different = len(set(given))
    is_text = column.dtype == np.object_ and name not in train.inputs.declared
    if not is_text or different <= MANY_CATEGORIES or different <= NEARLY_ALL * len(given):
        return ""
    place = train.place(int(np.flatnonzero(column == given[0])[0]))
    return (
        f"Column '{name}' holds {different:,} different texts in {len(given):,} rows of train, such as "
        f"'{given[0][:60]}' at {place}: that names rows, not categories, and nothing can be learned from it. "
        f"Fix: 'drop: [{name}]', or 'categorical: [{name}]' to insist, in both catalog entries."
    )


def _labels(train: Samples[Any], test: Samples[Any]) -> Iterable[str]:
    if train.task != test.task:
        yield f"The labels of train are for {train.task}, those of test for {test.task}."
    elif train.class_names != test.class_names:
        yield (
            f"Classes of train: {', '.join(train.class_names)}; of test: {', '.join(test.class_names)}. "
            "Fix: name them in both catalog entries, class_names in the same order."
        )


def _inputs(train: Samples[Any], test: Samples[Any]) -> Iterable[str]:
    ours, theirs = train.inputs, test.inputs
    if isinstance(ours, Table) and isinstance(theirs, Table):
        yield from _columns(train, test)
    elif isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray) and ours.dtype != np.object_:
        if ours.shape[1:] != theirs.shape[1:]:
            what, axes = ("Images", " (channels, height, width)") if ours.ndim == 4 else ("Arrays", "")
            yield f"{what} of train: {list(ours.shape[1:])}; of test: {list(theirs.shape[1:])}{axes}."
        if train.background != test.background:
            colours = f"{train.background or 'none'}; of test: {test.background or 'none'}"
            yield f"The background of train: {colours}. Fix: the same in both catalog entries."
    elif len(ours) and len(theirs) and isinstance(ours[0], np.ndarray) and ours[0].shape[1:] != theirs[0].shape[1:]:
        yield f"Series of train have {ours[0].shape[1]} channels; of test {theirs[0].shape[1]}."
    yield from _channel_names(train.channel_names, test.channel_names)


def _channel_names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> Iterable[str]:
    for split, names in (("train", ours), ("test", theirs)):
        twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            yield f"Two channels of {split} are called '{twice}'. Fix: a name of its own for each."
    if ours and theirs and ours != theirs:
        yield f"Channels of train: {', '.join(ours)}; of test: {', '.join(theirs)}. Fix: the same ones in one order."


def _groups(train: Samples[Any], test: Samples[Any]) -> Iterable[str]:
    if (train.groups is None) != (test.groups is None) or (train.order is None) != (test.order is None):
        yield "One of the catalog entries names 'group' or 'order', the other does not. Fix: the same in both."
    elif train.groups is not None and test.groups is not None:
        known = set(train.groups.tolist())
        both = [str(group) for group in dict.fromkeys(test.groups.tolist()) if group in known]
        if both:
            named = ", ".join(f"'{group[:60]}'" for group in both[:MAX_SHOWN])
            yield (
                f"{len(both):,} groups of test are in train as well, such as {named}. "
                "Fix: all samples of a group in one of the files, or one file with 'split' and 'test_share'."
            )
    elif train.order is not None and test.order is not None:
        yield from _times(train, test)


def _times(train: Samples[Any], test: Samples[Any]) -> Iterable[str]:
    """Yield where a sample of test is earlier than train ends; a copy counts by the first, with which it stays."""
    assert train.order is not None and test.order is not None
    try:
        first, last = int(np.argmin(test.order)), int(np.argmax(train.order))
        is_earlier = test.order[first] < train.order[last]
        if is_earlier:
            contents = hash_each(train.inputs)
            first_of: dict[str, int] = {}
            for index in np.argsort(train.order, kind="stable").tolist():
                first_of.setdefault(contents[index], index)
            last = list(first_of.values())[-1]
            is_earlier = test.order[first] < train.order[last]
    except TypeError:
        yield "'order' of train and of test cannot be compared. Fix: numbers in both entries, or dates in both."
        return
    if is_earlier:
        yield (
            f"Test begins before train ends, by 'order': {test.place(first)} ({test.order[first]}) is earlier than "
            f"{train.place(last)} ({train.order[last]}). Fix: divide the files at one time, or leave 'order' out of "
            "both catalog entries."
        )


def _columns(train: Samples[Any], test: Samples[Any]) -> Iterable[str]:
    ours, theirs = train.inputs.columns, test.inputs.columns
    missing = [name for name in ours if name not in theirs]
    if missing:
        yield f"Columns missing in test: {', '.join(missing)}."
    for name in (name for name in theirs if name not in ours):
        yield f"Column '{name}' of test is not in train. {nearest(name, missing or ours)}"
    differ = (name for name in ours if name in theirs and ours[name].dtype != theirs[name].dtype)
    for name in (name for name in differ if not is_missing(theirs[name]).all() and not is_missing(ours[name]).all()):
        (text, of_text), of_numbers = (
            ((train, "train"), "test") if ours[name].dtype == np.object_ else ((test, "test"), "train")
        )
        yield (
            f"Column '{name}' holds numbers in {of_numbers}, but text in {of_text}: {_not_numbers(text, name)}. "
            "Fix: correct these, list them under 'missing', or name the column under 'categorical', in both entries."
        )


def _not_numbers(samples: Samples[Any], name: str) -> str:
    values = samples.inputs.columns[name].tolist()
    wrong = [index for index, value in enumerate(values) if value is not None and not _is_number(value)]
    shown = [f"{values[index]!r} at {samples.place(index)}" for index in wrong[:MAX_SHOWN]]
    return ", ".join(shown) + (f" and {len(wrong) - MAX_SHOWN:,} more" if len(wrong) > MAX_SHOWN else "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
