"""Splitting samples: every part has every class, and none holds what another has, belongs to it or comes before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from thresher.modalities.samples import Samples, hash_each

MAX_EXCHANGED = 500
"""Clusters of several classes; all pairs of them are tried."""


def mark_held_out(samples: Samples[Any], share: float, seed: int) -> np.ndarray:
    """Return a bool array [N] that is true for ``share`` of ``samples``: of each class alike, where there are classes.

    Samples of one content or of one of ``samples.groups`` are all on one side. With ``samples.order`` the last share
    is held out, whatever the classes. The same seed gives the same split on every machine.
    """
    clusters = find_clusters(samples)
    if samples.order is not None:
        return mark_last(samples.order, share, clusters)
    strata = samples.labels if samples.class_names else np.zeros(len(samples), np.int64)
    return mark_stratified(strata, share, seed, clusters)


def find_clusters(samples: Samples[Any]) -> np.ndarray:
    """Return an int64 array [N]: a number for each set of samples that must not be divided.

    Such are samples of one content, those of one group, and whatever hangs together by these two.
    """
    contents = clusters = _number(hash_each(samples.inputs))
    if samples.groups is None:
        return clusters
    groups, before = _number(samples.groups.tolist()), np.full(len(samples), -1)
    while not np.array_equal(clusters, before):
        before = clusters
        clusters = _least_of_each(contents, _least_of_each(groups, clusters))
    return clusters


def find_repeated(samples: Samples[Any]) -> np.ndarray:
    """Return a bool array [N], true for samples with the content and the label of an earlier one.

    Earlier by ``samples.order``, where there is one, then by place.
    """
    seen: set[tuple[str, float]] = set()
    repeated = np.zeros(len(samples), dtype=bool)
    contents = list(zip(hash_each(samples.inputs), samples.labels.tolist(), strict=True))
    order = np.arange(len(samples)) if samples.order is None else np.argsort(samples.order, kind="stable")
    for index in order.tolist():
        repeated[index] = contents[index] in seen
        seen.add(contents[index])
    return repeated


def mark_last(order: np.ndarray, share: float, clusters: np.ndarray) -> np.ndarray:
    """Return a bool array [N], true for the last ``share`` by ``order``: as near to it as equal times allow.

    A cluster counts by its earliest sample, so that a later copy of an earlier sample stays with it. At least one
    sample is marked and one is not, where there are two times or more.
    """
    first = _least_of_each(clusters, np.unique(order, return_inverse=True)[1].ravel())
    times, counts = np.unique(first, return_counts=True)
    if len(times) < 2:
        return np.zeros(len(order), dtype=bool)
    marked = len(order) - np.cumsum(counts)[:-1]  # by each place where the cut may be
    cut = times[int(np.argmin(np.abs(marked - share * len(order))))]
    return np.asarray(first > cut)


def mark_stratified(labels: np.ndarray, share: float, seed: int, clusters: np.ndarray | None = None) -> np.ndarray:
    """Return a bool array [N] that is true for ``share`` of each class of ``labels`` [N].

    Rounded, but at least one sample and never all, where a class has two or more. The same seed gives the same split
    on every machine, and a class that gains or loses samples leaves the split of the others as it was.

    With ``clusters`` [N] samples of one number are marked all or not at all, and shares are as near as that allows:
    the classes are gone through in the order that they are marked in without clusters, and a cluster is taken when
    the squared distances of all classes from their shares, each over its share, become smaller by it.
    """
    orders, wanted = {}, {}
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        # Labels begin at -1 (missing), seeds must not be negative.
        orders[label] = np.random.default_rng([seed, int(label) + 1]).permutation(members)
        wanted[label] = min(max(round(len(members) * share), 1), len(members) - 1)
    if clusters is None or len(np.unique(clusters)) == len(labels):
        marked = np.zeros(len(labels), dtype=bool)
        for label, order in orders.items():
            marked[order[: wanted[label]]] = True
        return marked
    visits = dict.fromkeys(clusters[np.concatenate(list(orders.values()))].tolist())
    contents = _contents(clusters.tolist(), labels.tolist(), visits)
    return np.isin(clusters, list(_choose(contents, wanted)))


def _contents(clusters: list[int], labels: list[int], visits: Iterable[int]) -> dict[int, Counter[int]]:
    """Return how many samples of each label a cluster has, in the order of ``visits``."""
    contents: dict[int, Counter[int]] = {cluster: Counter() for cluster in visits}
    for cluster, label in zip(clusters, labels, strict=True):
        contents[cluster][label] += 1
    return contents


def _choose(contents: dict[int, Counter[int]], wanted: dict[int, int]) -> set[int]:
    """Return the clusters that are marked."""
    chosen: set[int] = set()
    lacking = dict(wanted)
    clusters_of = Counter(label for counts in contents.values() for label in counts)
    for cluster, counts in contents.items():
        # What is all of a class is learned from: of two sides without it, that is the one that is told sooner.
        if min(map(clusters_of.__getitem__, counts)) > 1 and _gain(counts, lacking, wanted) > 0:
            chosen.add(cluster)
            _take(counts, lacking)
    _exchange(
        {c: n for c, n in contents.items() if len(n) > 1 and min(clusters_of[x] for x in n) > 1},
        wanted,
        lacking,
        chosen,
    )
    # Each class is on both sides where it can be: large clusters alone may have left it on one.
    for label in (label for label in wanted if clusters_of[label] > 1):
        with_label = [cluster for cluster, counts in contents.items() if label in counts]
        if not chosen.intersection(with_label):
            best = max(with_label, key=lambda cluster: _gain(contents[cluster], lacking, wanted))
            chosen.add(best)
            _take(contents[best], lacking)
        elif chosen.issuperset(with_label):
            chosen.remove(min(with_label, key=lambda cluster: contents[cluster].total()))
    return chosen


def _exchange(
    mixed: dict[int, Counter[int]], wanted: dict[int, int], lacking: dict[int, int], chosen: set[int]
) -> None:
    """Exchange clusters of several classes, in place, while all shares together come nearer by it.

    Of large groups the first that fit are a poor choice; of very many, or of copies, it makes no difference.
    """
    names, labels = list(mixed), list(wanted)
    if not 1 < len(names) <= MAX_EXCHANGED:
        return
    scale = np.maximum([wanted[label] for label in labels], 1)
    counts = np.array([[mixed[name][label] for label in labels] for name in names] + [[0] * len(labels)]) / scale
    rest = np.array([lacking[label] for label in labels]) / scale
    inside = np.isin(names, list(chosen))
    for _ in range(len(names)):
        # The last row is no cluster at all: one may also go, or come, alone.
        leave, come = (np.append(np.flatnonzero(side), len(names)) for side in (inside, ~inside))
        costs = np.zeros((len(leave), len(come)))
        for column, left in enumerate(rest):
            costs += (left + counts[leave, column][:, None] - counts[come, column]) ** 2
        out, into = np.unravel_index(int(costs.argmin()), costs.shape)
        if costs[out, into] > (rest**2).sum() - 1e-9:
            break
        rest = rest + counts[leave[out]] - counts[come[into]]
        inside[leave[out] : leave[out] + 1], inside[come[into] : come[into] + 1] = False, True
    chosen.difference_update(names)
    chosen.update(name for name, is_inside in zip(names, inside, strict=True) if is_inside)
    lacking.update((label, round(left * size)) for label, left, size in zip(labels, rest, scale, strict=True))


def _gain(counts: Counter[int], lacking: dict[int, int], wanted: dict[int, int]) -> float:
    """Return how much nearer to the shares the cluster with ``counts`` brings the samples that are marked."""
    return sum(
        (lacking[label] ** 2 - (lacking[label] - count) ** 2) / max(wanted[label], 1) for label, count in counts.items()
    )


def _take(counts: Counter[int], lacking: dict[int, int]) -> None:
    for label, count in counts.items():
        lacking[label] -= count


def _number(values: Sequence[object]) -> np.ndarray:
    """Return a number for each different value, in the order in which they come."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def _least_of_each(clusters: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each sample the least of ``values`` in its cluster."""
    _, places = np.unique(clusters, return_inverse=True)
    least = np.full(places.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, places.ravel(), values)
    return least[places.ravel()]
