"""What the export of boosted trees relies on in scikit-learn: the nodes and sets of categories within its trees."""

from __future__ import annotations

import numpy as np
from helpers.contract import relied_on
from sklearn.ensemble import HistGradientBoostingClassifier

from thresher.adapters.scikit_learn import known_categories, read_baseline, read_trees

ADAPTER = "src/thresher/adapters/scikit_learn.py"


def test_trees_can_be_read_and_walked_by_hand() -> None:
    random = np.random.default_rng(0)
    rows = np.stack([random.normal(size=400), random.integers(1, 9, size=400) * 3], axis=1)
    labels = ((rows[:, 1] % 2 == 0) ^ (rows[:, 0] > 1)).astype(int)
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[1]).fit(rows, labels)
    rows[::7, 1] = 100  # a category that it was not fitted with
    with relied_on(
        "scikit-learn", "_predictors has nodes, a baseline, and bitsets of categories by their rank", ADAPTER
    ):
        (baseline,) = read_baseline(model)
        known, trees = known_categories(model), [tree for (tree,) in read_trees(model)]
        assert known == {1: frozenset(range(3, 27, 3))}
        sums = np.full(len(rows), baseline)
        for tree in trees:
            for row, values in enumerate(rows):
                node = 0
                while not tree.is_leaf[node]:
                    value = values[tree.feature[node]]
                    goes_left = value <= tree.threshold[node]
                    if node in tree.left_codes:
                        goes_left = value in tree.left_codes[node] or (value == 100 and tree.others_go_left[node])
                    node = int(tree.left[node] if goes_left else tree.right[node])
                sums[row] += tree.value[node]
        assert any(tree.left_codes for tree in trees)
        np.testing.assert_allclose(sums, model.decision_function(rows), atol=1e-12)
