"""A candidate is a chain: networks first, one quantization last, inherited through `from`."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from thresher.compression import APPLY_TO_NETWORK, APPLY_TO_ONNX, NetworkTechnique, OnnxTechnique, Technique
from thresher.compression.candidate import Candidate, NamedCandidate, find_chain_problems, find_circle

PRUNE: dict[str, Any] = {"kind": "prune_channels", "ratio": 0.5}
FINETUNE = {"kind": "finetune"}
STATIC, DYNAMIC = {"kind": "quantize_static"}, {"kind": "quantize_dynamic"}


def candidates(**chains: Any) -> dict[str, Candidate]:
    return {name: Candidate.model_validate(chain) for name, chain in chains.items()}


def chain(parent: str, *steps: Any) -> dict[str, Any]:
    return {"from": parent, "steps": list(steps)}


def test_every_technique_works_on_the_network_or_on_the_onnx_file() -> None:
    assert APPLY_TO_NETWORK.keys() == set(get_args(NetworkTechnique))
    assert APPLY_TO_ONNX.keys() == set(get_args(OnnxTechnique))
    for config in APPLY_TO_NETWORK | APPLY_TO_ONNX:
        kind = config.model_fields["kind"].default
        least = {"ratio": 0.5} if kind == "prune_channels" else {"sparsity": 0.5} if kind == "prune_weights" else {}
        assert type(TypeAdapter(Technique).validate_python({"kind": kind, **least})) is config


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
    assert find_chain_problems(candidates(**chains)) == problems


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
