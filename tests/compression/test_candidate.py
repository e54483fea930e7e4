"""A candidate is a chain: networks first, one quantization last, inherited through `from`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from thresher.compression import Technique
from thresher.compression.candidate import Candidate, NamedCandidate
from thresher.compression.validate import find_chain_problems, find_circle
from thresher.kinds.built_in import TECHNIQUES
from thresher.kinds.record import TechniqueKind

PRUNE: dict[str, Any] = {"kind": "prune_channels", "ratio": 0.5}
FINETUNE = {"kind": "finetune"}
STATIC, DYNAMIC = {"kind": "quantize_static"}, {"kind": "quantize_dynamic"}


def candidates(**chains: Any) -> dict[str, Candidate]:
    return {name: Candidate.model_validate(chain) for name, chain in chains.items()}


def chain(parent: str, *steps: Any) -> dict[str, Any]:
    return {"from": parent, "steps": list(steps)}


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda kind: kind.name)
def test_every_technique_is_found_by_its_kind(technique: TechniqueKind) -> None:
    try:
        assert type(TypeAdapter(Technique).validate_python({"kind": technique.name})) is technique.config_class
    except ValidationError as error:  # some have settings without a default, which they miss under their own kind
        assert {problem["loc"][0] for problem in error.errors()} == {technique.name}


def test_a_bare_list_is_a_chain_upon_the_float_model() -> None:
    assert Candidate.model_validate([PRUNE]) == Candidate.model_validate(chain("float", PRUNE))


def test_steps_are_parted_into_those_before_and_those_after_the_export() -> None:
    candidate = Candidate.model_validate([PRUNE, FINETUNE, STATIC])
    assert [step.kind for step in candidate.network_steps] == ["prune_channels", "finetune"]
    assert [step.kind for step in candidate.onnx_steps] == ["quantize_static"]


def test_a_candidate_survives_the_parameters_of_a_node() -> None:
    values = Candidate.model_validate(chain("half", STATIC)).model_dump(mode="json", by_alias=True)
    assert NamedCandidate.model_validate({**values, "name": "int8"}).from_ == "half"


@pytest.mark.parametrize("value", [[], {"steps": []}, {"from": "float"}, {"steps": [PRUNE], "form": "x"}, "half", 3])
def test_what_is_no_chain_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Candidate.model_validate(value)


@pytest.mark.parametrize(
    ("chains", "problems"),
    [
        ({"a": [PRUNE, FINETUNE, STATIC]}, []),
        ({"a": [FINETUNE], "b": chain("a", PRUNE), "c": chain("b", DYNAMIC)}, []),
        ({"a": [STATIC, FINETUNE]}, [(("a", "steps", 1), "finetune cannot follow quantize_static")]),
        (
            {"a": [DYNAMIC, PRUNE, STATIC]},
            [
                (("a", "steps", 1), "prune_channels cannot follow quantize_dynamic"),
                (("a", "steps", 2), "quantize_static cannot follow quantize_dynamic"),
            ],
        ),
        (
            {"b": chain("a", DYNAMIC), "a": [STATIC]},
            [(("b", "steps", 0), "quantize_dynamic cannot follow quantize_static of 'a'")],
        ),
        ({"a": chain("unknown", PRUNE)}, []),
        ({"a": chain("b", STATIC, PRUNE), "b": chain("a", STATIC)}, []),
    ],
    ids=["sound", "sound through from", "after", "twice after", "through from", "unknown name", "circle"],
)
def test_nothing_follows_a_quantization(chains: dict[str, Any], problems: list[Any]) -> None:
    assert [problem[:2] for problem in find_chain_problems(candidates(**chains))] == problems


@pytest.mark.parametrize(
    ("name", "circle"),
    [
        ("alone", ["alone", "alone"]),
        ("egg", ["egg", "hen", "egg"]),
        ("hen", ["hen", "egg", "hen"]),
        ("leads_in", []),
        ("free", []),
    ],
)
def test_a_circle_is_told_to_those_in_it_alone(name: str, circle: list[str]) -> None:
    names = {"alone": "alone", "egg": "hen", "hen": "egg", "leads_in": "egg", "free": "float"}
    assert find_circle(name, candidates(**{key: chain(parent, FINETUNE) for key, parent in names.items()})) == circle


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"kind": "optimize_graph"}, STATIC], ""),
        ([STATIC, {"kind": "optimize_graph", "level": "extended", "short_names": True}], ""),
        ([{"kind": "optimize_graph", "level": "extended"}, STATIC], "quantize_static cannot follow optimize_graph"),
        ([{"kind": "optimize_graph", "short_names": True}, STATIC], "quantize_static cannot follow optimize_graph"),
        ([{"kind": "optimize_graph"}, FINETUNE], "finetune cannot follow optimize_graph"),
        ([{"kind": "half"}, {"kind": "quantize_dynamic"}], "quantize_dynamic cannot follow half"),
        ([{"kind": "quantize_weights"}, {"kind": "optimize_graph", "level": "none", "short_names": True}], ""),
        ([{"kind": "quantize_weights"}, {"kind": "optimize_graph"}], "optimize_graph cannot follow quantize_weights"),
        ([{"kind": "quantize_aware"}, FINETUNE], "finetune cannot follow quantize_aware"),
    ],
)
def test_a_clean_up_follows_all_but_what_it_would_undo(steps: list[dict[str, object]], problem: str) -> None:
    found = find_chain_problems({"one": Candidate.model_validate(steps)})
    assert [each.what for each in found] == ([problem] if problem else [])


def test_nothing_but_a_pupil_or_a_clean_up_follows_a_search() -> None:
    search = {"search": {"budget": {"size_bytes": 1000}}}
    candidates = {
        "best": search,
        "int8": {"from": "best", "steps": [STATIC]},
        "clean": {"from": "best", "steps": [{"kind": "optimize_graph", "level": "none", "short_names": True}]},
        "pupil": [{**FINETUNE, "distill": {"from": "best"}}],
        "again": {"from": "int8", **search},
    }
    read = {name: Candidate.model_validate(value) for name, value in candidates.items()}
    assert find_chain_problems(read) == [
        (
            ("int8", "steps", 0),
            "quantize_static cannot follow the search of 'best'",
            "A search finds the whole chain; nothing but optimize_graph may follow it.",
        ),
        (
            ("again", "search"),
            "cannot follow the search of 'best'",
            "A search trains networks: start it from what comes before the search of 'best'.",
        ),
    ]


@pytest.mark.parametrize(
    ("steps", "advice"),
    [
        ([STATIC, FINETUNE], "quantize_static ends a chain: put finetune before quantize_static."),
        ([{"kind": "optimize_graph", "level": "extended"}, STATIC],
         "optimize_graph of this level, or with short_names, ends a chain: put quantize_static before optimize_graph."),
        ([{"kind": "half"}, DYNAMIC], "Each of the two ends a chain: keep quantize_dynamic or half."),
        ([{"kind": "quantize_aware"}, PRUNE],
         "quantize_aware ends a chain: put prune_channels before quantize_aware."),
        ([{"kind": "optimize_graph"}, FINETUNE],
         "finetune works on the network, optimize_graph on the file that is exported of it: put it before."),
        ([{"kind": "quantize_weights"}, {"kind": "optimize_graph"}],
         "With `level: none` it may; any other makes floats of the integers that quantize_weights stores."),
    ],
)  # fmt: skip
def test_the_advice_is_about_the_steps_that_it_is_given_for(steps: list[dict[str, object]], advice: str) -> None:
    assert [each.advice for each in find_chain_problems({"one": Candidate.model_validate(steps)})] == [advice]


def test_who_learns_from_its_own_pupil_goes_in_a_circle() -> None:
    pupil = [{**FINETUNE, "distill": {"from": "teacher"}}]
    candidates = {
        "pupil": Candidate.model_validate(pupil),
        "teacher": Candidate.model_validate({"from": "pupil", "steps": [FINETUNE]}),
    }
    assert find_circle("pupil", candidates) == ["pupil", "teacher", "pupil"]


@pytest.mark.parametrize("wrong", [{}, {"steps": []}, {"steps": [FINETUNE], "search": {"budget": {"size_bytes": 1}}}])
def test_a_candidate_has_either_steps_or_a_search(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give one of steps and search"):
        Candidate.model_validate(wrong)


def test_a_search_needs_a_budget() -> None:
    with pytest.raises(ValueError, match="give at least one of size_bytes, latency_us, accuracy_drop, rmse_increase"):
        Candidate.model_validate({"search": {"budget": {}}})
