"""What must agree between data, model and training is checked when the recipe is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from thresher.errors import Problem

Problems = Callable[..., list[Problem]]
DATA = {"train": "mine.train", "test": "mine.test"}


def test_a_model_for_other_data_is_refused_with_those_that_fit(problems_with: Problems) -> None:
    (problem,) = problems_with(data={"modality": "text", **DATA})
    assert problem.where.endswith("model.kind")
    assert problem.what == "model lenet takes image, and data.modality is text"
    assert "textcnn" in problem.fix and "resnet" not in problem.fix


def test_augmentation_is_for_images(problems_with: Problems) -> None:
    (problem,) = problems_with(
        data={"modality": "series", **DATA}, model={"kind": "gru"}, training={"augmentation": [{"kind": "flip"}]}
    )
    assert problem.where.endswith("training.augmentation") and "series" in problem.what


@pytest.mark.parametrize(
    "setting", [{"label_smoothing": 0.1}, {"class_weights": "balanced"}, {"sampling": "balanced"}, {"focal_gamma": 2}]
)
def test_what_needs_classes_is_refused_in_a_regression(problems_with: Problems, setting: dict[str, Any]) -> None:
    (problem,) = problems_with(task="regression", training=setting, selection={"minimize": "size_bytes"})
    assert problem.where.endswith(f"training.{next(iter(setting))}")
    assert problem.what == "a regression has no classes"


def test_a_regression_has_no_probabilities_to_calibrate(problems_with: Problems) -> None:
    (problem,) = problems_with(task="regression", calibrate="temperature", selection={"minimize": "size_bytes"})
    assert problem.where.endswith("calibrate") and problem.what == "a regression answers no probabilities"


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"training": {"group_by_length": True}}, "every sample of image is of one size"),
        (
            {
                "data": {"modality": "series", **DATA},
                "model": {"kind": "gru"},
                "training": {"group_by_length": True, "batch_size": "full"},
            },
            "there is one batch of all samples",
        ),
    ],
    ids=["images", "full"],
)
def test_lengths_are_grouped_where_they_differ(problems_with: Problems, recipe: dict[str, Any], says: str) -> None:
    (problem,) = problems_with(**recipe)
    assert problem.where.endswith("training.group_by_length") and problem.what == says


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"sampling": "balanced", "class_weights": "balanced"}, "both make classes count alike"),
        ({"focal_gamma": 2, "label_smoothing": 0.1}, "needs one right class"),
        ({"sampling": "balanced", "batch_size": "full"}, "one batch of all samples"),
    ],
    ids=["twice", "smoothed", "full"],
)
def test_classes_are_balanced_in_one_way(problems_with: Problems, setting: dict[str, Any], says: str) -> None:
    (problem,) = problems_with(training=setting)
    assert says in problem.what


def test_lbfgs_takes_full_batches_alone(problems_with: Problems) -> None:
    (problem,) = problems_with(training={"optimizer": {"kind": "lbfgs"}, "batch_size": 32})
    assert problem.where.endswith("training.batch_size") and problem.fix == "Use batch_size: full."


def test_a_rate_is_either_given_or_found(problems_with: Problems) -> None:
    (problem,) = problems_with(training={"optimizer": {"kind": "adam", "lr": 0.1}, "learning_rate": "auto"})
    assert problem.where.endswith("training.optimizer.lr") and problem.what == "learning_rate: auto finds the rate"


def search(**space: Any) -> dict[str, Any]:
    return {"search": {"space": {name.replace("__", "."): value for name, value in space.items()}}}


def test_a_search_finds_the_rate_by_itself(problems_with: Problems) -> None:
    found = search(training__optimizer__lr={"low": 0.001, "high": 0.1})
    (problem,) = problems_with(training={"learning_rate": "auto", **found})
    assert problem.what == "the search finds the rate already"


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"training__optimizer": ["adam", "adamm"]}, "'adamm' is not possible"),
        ({"training__optimizer__lr": {"low": 0.1, "high": 100}}, "100 is not possible"),
        ({"training__batch_size": [32, 0]}, "0 is not possible"),
        ({"training__bach_size": [32, 64]}, "training.bach_size"),
        ({"model__width": [8, 16]}, "model.lenet.width"),
        ({"training__optimizer": [{"kind": "sgd", "lr": {"low": 0.1, "high": 99}}, "adam"]}, "99"),
    ],
)
def test_every_end_of_a_search_must_be_a_recipe(problems_with: Problems, space: dict[str, Any], says: str) -> None:
    problems = problems_with(training=search(**space))
    assert any(says in problem.what for problem in problems), problems
    assert all("training.search.space" in problem.where for problem in problems)


def test_places_that_cannot_be_searched_are_refused(problems_with: Problems) -> None:
    problems = problems_with(training=search(data__validation=[0.1, 0.2]))
    assert any("data.validation" in problem.where for problem in problems), problems


def test_of_a_linear_model_no_channels_can_go(problems_with: Problems) -> None:
    prune = [{"kind": "prune_channels", "ratio": 0.5}]
    (problem,) = problems_with(model={"kind": "linear"}, candidates={"half": prune})
    assert problem.where.endswith("candidates.half.steps.0")
    assert problem.what == "a linear has no channels that can be pruned"
    assert problem.fix == "Use prune_weights or quantize_dynamic."


@pytest.mark.parametrize(("modality", "kind"), [("text", "lstm"), ("series", "gru"), ("text", "transformer")])
def test_hidden_units_and_heads_can(modality: str, kind: str, problems_with: Problems) -> None:
    candidates = {
        "half": [{"kind": "prune_channels", "ratio": 0.5}],
        "wrong": [{"kind": "quantize_dynamic"}, {"kind": "finetune"}],
    }
    (problem,) = problems_with(data={"modality": modality, **DATA}, model={"kind": kind}, candidates=candidates)
    assert "wrong" in problem.where


def test_images_have_no_vocabulary_to_prune(problems_with: Problems) -> None:
    (problem,) = problems_with(candidates={"small": [{"kind": "prune_vocabulary"}]})
    assert problem.where.endswith("candidates.small.steps.0")
    assert problem.what == "prune_vocabulary takes text, and data.modality is image"


def test_a_vocabulary_is_pruned_once(problems_with: Problems) -> None:
    step = {"kind": "prune_vocabulary"}
    student = {"kind": "distill", "student": {"kind": "textcnn"}}
    problems = problems_with(
        data={"modality": "text", **DATA},
        model={"kind": "lstm"},
        candidates={
            "small": [step],
            "smaller": {"from": "small", "steps": [{"kind": "finetune"}, step]},
            "student": {"from": "small", "steps": [student, step]},
        },
    )
    (problem,) = problems
    assert problem.where.endswith("candidates.smaller.steps.1")
    assert problem.what == "prune_vocabulary comes a second time in this chain"


def distilled(kind: str, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"kind": "distill", "student": {"kind": kind}}, *steps]


def test_a_student_takes_what_the_recipes_model_takes(problems_with: Problems) -> None:
    (problem,) = problems_with(candidates={"small": distilled("textcnn")})
    assert problem.where.endswith("candidates.small.steps.0.student.kind")
    assert problem.what == "a student of kind textcnn takes text, and data.modality is image"
    assert "cnn" in problem.fix and "onnx" not in problem.fix


def test_a_pretrained_student_takes_tokens_of_its_own_tokenizer_or_draws_its_weights(problems_with: Problems) -> None:
    texts = {"data": {"modality": "text", **DATA}, "model": {"kind": "lstm"}}

    def problems(**settings: Any) -> Any:
        student = {"kind": "pretrained", "path": "data/01_raw/minilm", **settings}
        return problems_with(**texts, candidates={"small": [{"kind": "distill", "student": student}]})

    (problem,) = problems()
    assert problem.where.endswith("candidates.small.steps.0.student.init")
    assert "a lstm has another one" in problem.what and "Use init: random" in problem.fix
    (problem,) = problems(init="random", architecture={})
    assert problem.where.endswith("student.architecture")


def test_hidden_states_are_compared_where_there_are_blocks(problems_with: Problems) -> None:
    transformer = {"kind": "transformer"}
    problems = problems_with(
        data={"modality": "text", **DATA},
        model=transformer,
        candidates={
            "deep": [{"kind": "distill", "student": transformer, "hidden": 1.0}],
            "flat": [{"kind": "distill", "student": {"kind": "textcnn"}, "hidden": 1.0}],
            "tuned": [{"kind": "finetune", "distill": {"hidden": 1.0}}],
            "flat_tuned": [*distilled("lstm"), {"kind": "finetune", "distill": {"hidden": 1.0}}],
        },
    )
    places = ["flat.steps.0.hidden", "flat_tuned.steps.1.distill.hidden"]
    assert [problem.where.partition("candidates.")[2] for problem in problems] == places


def test_relations_are_compared_where_there_is_attention(problems_with: Problems) -> None:
    problems = problems_with(
        data={"modality": "text", **DATA},
        model={"kind": "transformer"},
        candidates={
            "like": [{"kind": "distill", "student": {"kind": "transformer"}, "relations": {}}],
            "flat": [{"kind": "distill", "student": {"kind": "textcnn"}, "relations": {"weight": 2}}],
            "tuned": [*distilled("lstm"), {"kind": "finetune", "distill": {"relations": {"heads": 4}}}],
        },
    )
    assert [problem.where.partition("candidates.")[2] for problem in problems] == [
        "flat.steps.0.relations",
        "tuned.steps.1.distill.relations",
    ]
    assert problems[0].what == "a textcnn has no attention whose relations could be compared"


def test_a_search_cuts_the_vocabulary_of_texts_once(problems_with: Problems) -> None:
    search = {"budget": {"size_bytes": 1000}, "techniques": ["prune_vocabulary"]}
    (problem,) = problems_with(candidates={"best": {"search": search}})
    assert problem.what == "prune_vocabulary takes text, and data.modality is image"
    (problem,) = problems_with(
        data={"modality": "text", **DATA},
        model={"kind": "lstm"},
        candidates={"cut": [{"kind": "prune_vocabulary"}], "best": {"from": "cut", "search": search}},
    )
    assert problem.what == "prune_vocabulary comes a second time in this chain"


def test_whose_channels_go_is_the_last_students(problems_with: Problems) -> None:
    prune = {"kind": "prune_channels", "ratio": 0.5}
    search = {"budget": {"size_bytes": 1000}}
    problems = problems_with(
        model={"kind": "linear"},
        candidates={
            "before": [prune, *distilled("cnn")],
            "after": distilled("cnn", prune),
            "upon": {"from": "after", "steps": [prune]},
            "linear": distilled("linear", prune),
            "searched": {"from": "after", "search": search},
            "linear_searched": {"from": "linear", "search": search},
        },
    )
    places = ["before.steps.0", "linear.steps.1", "linear_searched.search.techniques"]
    assert [problem.where.partition("candidates.")[2] for problem in problems] == places


def test_a_search_over_a_linear_model_is_not_to_prune_channels(problems_with: Problems) -> None:
    search = {"budget": {"size_bytes": 1000}, "techniques": ["prune_channels", "quantize_dynamic"]}
    (problem,) = problems_with(model={"kind": "linear"}, candidates={"best": {"search": search}})
    assert problem.where.endswith("candidates.best.search.techniques")


DROP = {"kind": "drop_layers"}


@pytest.mark.parametrize(
    ("candidates", "place", "says"),
    [
        ({"short": [{**DROP, "keep": 3}]}, "short.steps.0.keep", "keeps 3 of 3 blocks"),
        ({"short": [{**DROP, "keep": 2}, {**DROP, "keep": 2}]}, "short.steps.1.keep", "keeps 2 of 2 blocks"),
        (
            {"short": [{**DROP, "keep": 1}], "on": {"from": "short", "steps": [{**DROP, "keep": 1}]}},
            "on.steps.0.keep",
            "keeps 1 of 1 block",
        ),
        (
            {"short": [{"kind": "distill", "student": {"kind": "transformer", "num_layers": 2}}, {**DROP, "keep": 2}]},
            "short.steps.1.keep",
            "keeps 2 of 2 blocks",
        ),
    ],
)
def test_no_more_blocks_are_kept_than_there_are(
    candidates: dict[str, Any], place: str, says: str, problems_with: Problems
) -> None:
    data, model = {"modality": "text", **DATA}, {"kind": "transformer", "num_layers": 3}
    fits = {"fits": [{**DROP, "keep": 2}, {**DROP, "keep": 1}]}
    (problem,) = problems_with(data=data, model=model, candidates={**candidates, **fits})
    assert problem.where.endswith(f"candidates.{place}") and problem.what == says
    assert problem.fix in ("Allowed: 1 to 2.", "Allowed: 1 to 1.", "Leave the step out.")


def test_where_there_are_no_blocks_none_can_go(problems_with: Problems) -> None:
    candidates = {
        "short": [{**DROP, "keep": 1}],
        "best": {"search": {"budget": {"size_bytes": 1}, "techniques": ["drop_layers"]}},
    }
    found = problems_with(data={"modality": "text", **DATA}, model={"kind": "lstm"}, candidates=candidates)
    assert [problem.what for problem in found] == 2 * ["a lstm has no blocks that can go whole"]
    assert found[0].where.endswith("candidates.best.search.techniques")
