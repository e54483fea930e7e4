"""What a recipe says of its data, held against the catalog: entries, their kinds, and the columns that it names."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zipfile import BadZipFile

from thresher.catalog.columns import file_columns, named_columns, sample_columns
from thresher.catalog.entries import Catalog, Entry
from thresher.errors import Problem, nearest
from thresher.evaluation.metrics import find_metric
from thresher.kinds.record import KindError
from thresher.readers.header import find_other_delimiter
from thresher.readers.labels import LabelOptions
from thresher.readers.row_options import RowOptions
from thresher.readers.split import SplitOptions
from thresher.recipe.partial import Found, read_partial
from thresher.recipe.reading import RecipeSource, locate_all

SPLITS = ("train", "test")


@dataclass
class DataCheck:
    """What was found.

    Attributes:
        problems: each with its file and line.
        to_fetch: known data sets that are not here yet, each once.
        missing: their files, as problems of a run.
    """

    problems: list[Problem] = field(default_factory=list)
    to_fetch: list[str] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)


def check_data(source: RecipeSource, values: Mapping[str, Any], catalog: Catalog) -> DataCheck:
    """Return what is wrong with the data that a recipe names.

    Args:
        source: the recipe's file, for places.
        values: the recipe, sound or broken; what cannot be read of it is passed over.
        catalog: whose entries it names.
    """
    entries = {}
    for place, name in _named_entries(values.get("data")):
        (problem,) = locate_all(source, [(("data", *place), "", "")])
        entries[".".join(place)] = catalog.entry(name, problem.where)
    check = DataCheck()
    check.problems = _each_once(problem for entry in entries.values() for problem in entry.problems)
    check.to_fetch = sorted({entry.to_fetch for entry in entries.values() if entry.to_fetch})
    check.missing = _each_once(problem for entry in entries.values() for problem in entry.missing)
    check.problems += locate_all(source, list(_find_mismatches(values, entries)))
    for split, entry in entries.items():
        if split != "train" and "train" in entries:
            check.problems += _find_split_problems(entries["train"], entry, catalog)
    check.problems += locate_all(source, list(_find_unknown_columns(values, entries)))
    if entries.get("train"):
        check.problems += locate_all(source, list(_find_unknown_classes(values, entries["train"])))
        check.problems += locate_all(source, list(_find_lone_numbers(values, entries["train"])))
    missing = (problem for entry in entries.values() for problem in _find_missing_arguments(entry, catalog))
    check.problems += _each_once(missing)
    return check


def _named_entries(data: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place under `data` of each entry that a recipe names, and its name."""
    if not isinstance(data, Mapping):
        return
    tests = data.get("tests")
    given: list[tuple[tuple[str, ...], Any]] = [((split,), data.get(split)) for split in SPLITS]
    given += [(("tests", str(key)), name) for key, name in tests.items()] if isinstance(tests, Mapping) else []
    yield from ((place, name) for place, name in given if isinstance(name, str))


def _each_once(problems: Iterable[Problem]) -> list[Problem]:
    """Return each mistake once: what one entry takes from another (`<<: *name`) stands in one line."""
    seen: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.where.split()[0], problem.what), problem)
    return list(seen.values())


def _find_mismatches(values: Mapping[str, Any], entries: Mapping[str, Entry]) -> Iterator[Found]:
    """Yield where modality and task are not those of the entries, or both splits are one."""
    data, task = values["data"] if entries else {}, values.get("task")
    for split, entry in entries.items():
        modality = _modality(entry)
        if modality and isinstance(data.get("modality"), str) and modality != data["modality"]:
            what = f"'{data['modality']}' given, but {entry.name} ({_kind(entry)}) is {modality}"
            yield ("data", "modality"), what, f"Write 'modality: {modality}', or name another entry as data.{split}."
        regression = _is_regression(entry)
        if regression is not None and task in ("classification", "regression") and regression != (task == "regression"):
            gives = "numbers as labels (regression: true)" if regression else "classes"
            fix = f"Write 'task: {'regression' if regression else 'classification'}'"
            fix += "." if regression else ", or 'regression: true' in the entry, where the reader takes it."
            yield ("task",), f"'{task}' given, but {entry.name} gives {gives}", fix
    seen: dict[str, str] = {}
    for split, entry in entries.items():
        first = seen.setdefault(entry.name, split)
        if first != split:
            what = f"'{entry.name}' is named under data.{first} as well"
            what += ": a model would be judged on what it learned" if first == "train" else ": it would count twice"
            yield ("data", *split.split(".")), what, "Name another entry, with samples of their own."


def _find_split_problems(of_train: Entry, of_test: Entry, catalog: Catalog) -> list[Problem]:
    """Return where two entries of one file are no two parts of one split."""
    train, test = of_train.options, of_test.options
    if not (isinstance(train, SplitOptions) and isinstance(test, SplitOptions)) or of_train.name == of_test.name:
        return []
    if train.find_files() != test.find_files() or of_train.reader is not of_test.reader:
        return []
    for name in SplitOptions.model_fields:
        ours, theirs = getattr(train, name), getattr(test, name)
        if name == "split" and ours == theirs:
            part = "no split" if ours is None else f"'{ours}'"
            what = f"{part} in {of_train.name} and {of_test.name}: both give the same samples"
            fix = "Write 'split: train' in the one and 'split: test' in the other, with one test_share and seed."
            return [Problem(catalog.where(of_test, "split"), what, fix)]
        if name not in ("split", "path", "fetch", "metadata") and ours != theirs:
            what = f"{theirs!r} here, {ours!r} in {of_train.name}: parts of two splits have samples in common"
            return [Problem(catalog.where(of_test, name), what, "Write the same in both.")]
    return []


def _find_unknown_columns(values: Mapping[str, Any], entries: Mapping[str, Entry]) -> Iterator[Found]:
    """Yield each column of the contract and of the slices that the sample table will not have."""
    known = sample_columns(values, entries.values())
    if known is None:
        return
    for place, column in named_columns(values):
        if column not in known:
            yield place, f"the sample table has no column '{column}'", nearest(column, known)


def _find_unknown_classes(values: Mapping[str, Any], train: Entry) -> Iterator[Found]:
    """Yield each metric that has no meaning with the classes of the entry, where it says which it has."""
    classes: tuple[str, ...] = getattr(train.options, "known_classes", ())
    for place, name in read_partial(dict(values)).named_metrics if classes else ():
        try:
            metric = find_metric(name)
        except KindError:  # the recipe's own check reports it
            continue
        if metric.of_class and metric.of_class not in classes:
            what = f"'{name}': {train.name} has no class '{metric.of_class}'"
            yield place, what, nearest(metric.of_class, classes)
        elif metric.takes == "count" and int(metric.argument) >= len(classes):
            what = f"'{name}': {train.name} has {len(classes)} classes, of which so many guesses are always right"
            yield place, what, f"Less than {len(classes)}."


def _find_lone_numbers(values: Mapping[str, Any], train: Entry) -> Iterator[Found]:
    """Yield where a batch norm would get one number a channel, which has no spread: one sample of one position."""
    recipe = read_partial(dict(values))
    size = _image_size(train)
    if recipe.training is None or recipe.training.batch_size == "full" or size is None:
        return
    part = -(-recipe.training.batch_size // recipe.training.accumulation)
    count = getattr(recipe.model, "positions_at_last_norm", lambda *_: 0)(*size)
    if part == 1 and count == 1:
        key = "batch_size" if recipe.training.batch_size == 1 else "accumulation"
        what = f"one sample at a time leaves the last batch norm of a {recipe.model.kind} one number per channel"
        fix = "One number has no variance. Fix: make batch_size / accumulation at least 2, or use "
        yield ("training", key), f"{what} (images of {size[0]}x{size[1]})", f"{fix}larger images."


def _image_size(entry: Entry) -> tuple[int, int] | None:
    """Return height and width of an entry's images, None where they are not known without reading them all."""
    if entry.options is None or entry.to_fetch:
        return None
    try:
        return entry.options.image_size()
    except (OSError, ValueError, KeyError, struct.error, BadZipFile):  # the reader says what is wrong with the file
        return None


def _find_missing_arguments(entry: Entry, catalog: Catalog) -> list[Problem]:
    """Return the arguments of an entry that name columns which its file does not have."""
    columns, fix = file_columns(entry), ""
    if columns and isinstance(entry.options, RowOptions):
        fix = find_other_delimiter(entry.options, columns)
    problems = []
    for name in ("label", "text", "group", "order", "drop", "numeric", "categorical", "dates") if columns else ():
        given = getattr(entry.options, name, None) or ()
        for column in [given] if isinstance(given, str) else given:
            if column not in (columns or ()):
                where = catalog.where(entry, name)
                told = f"Fix: {fix}" if fix else nearest(column, columns or ())
                problems.append(Problem(where, f"the file has no column '{column}'", told))
    return problems[:1] if fix else problems


def _modality(entry: Entry) -> str:
    return entry.reader.modality if entry.reader else ""


def _kind(entry: Entry) -> str:
    return entry.reader.__name__ if entry.reader else ""


def _is_regression(entry: Entry) -> bool | None:
    """Return whether an entry's labels are numbers, None where its arguments do not say."""
    if isinstance(entry.options, LabelOptions):
        return entry.options.regression
    if entry.options is not None and _kind(entry) == "BundledTable":
        return bool(getattr(entry.options, "name", "") == "diabetes")
    return None if entry.reader is None else False
