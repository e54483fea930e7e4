"""What `thresher.models.pretrained.adapter` relies on in transformers beyond its documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from helpers.contract import relied_on
from helpers.pretrained_folders import ENCODERS, write_folder
from safetensors.torch import load_file

from thresher.models.pretrained import adapter
from thresher.models.pretrained.families import FAMILIES

ADAPTER = "src/thresher/models/pretrained/adapter.py"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The config and the weights of a small encoder without a head."""
    folder = write_folder(tmp_path_factory.mktemp("pretrained") / "bert")
    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


def test_every_layer_attends_by_the_function_that_is_registered(
    bert: tuple[dict[str, Any], dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Size, torch.Tensor | None]] = []

    def note(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, *_: Any) -> Any:
        seen.append((query.shape, mask))
        return value

    monkeypatch.setattr(adapter, "mix", note)
    with relied_on("transformers", "a registered attention gets [B, H, T, E] and a mask, true = attended to", ADAPTER):
        model = adapter.build_classifier(bert[0], 3)
        attends = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
        answer = model(input_ids=torch.ones(2, 5, dtype=torch.long), attention_mask=attends).logits
        assert answer.shape == (2, 3)
        assert [shape for shape, _ in seen] == [(2, 4, 5, 8)] * 2, "two blocks of four heads"
        for _, mask in seen:
            assert mask is not None and mask.dtype == torch.bool
            assert torch.equal(mask[:, 0, 0], attends.bool())


def test_weights_are_loaded_without_a_path_and_differences_have_their_names(
    bert: tuple[dict[str, Any], dict[str, torch.Tensor]],
) -> None:
    config, weights = bert
    changed = {f"bert.{name}": tensor for name, tensor in weights.items() if "position_embeddings" not in name}
    changed["bert.encoder.layer.0.output.dense.bias"] = torch.zeros(7)
    with relied_on("transformers", "from_pretrained(None, state_dict=...) says missing_keys, mismatched_keys", ADAPTER):
        model, info = adapter.load_classifier(config, 2, changed)
        assert {name for name in info["missing_keys"] if "embeddings" in name} == {
            "bert.embeddings.position_embeddings.weight"
        }
        assert [name for name, *_ in info["mismatched_keys"]] == ["bert.encoder.layer.0.output.dense.bias"]
        key = "bert.encoder.layer.1.output.dense.weight"
        assert torch.equal(model.state_dict()[key], changed[key])


TEXT_ENCODERS = (
    "bert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"
)  # fmt: skip


@pytest.mark.parametrize("model_type", TEXT_ENCODERS)
def test_the_parts_of_an_encoder_have_the_names_of_its_family(model_type: str) -> None:
    family = FAMILIES[model_type]
    with relied_on("transformers", f"names of the parts of {model_type}", "src/thresher/models/pretrained/families.py"):
        model = adapter.build_classifier(
            {"model_type": model_type, "vocab_size": 40, "pad_token_id": 0, **ENCODERS[model_type]}, 2
        )
        encoder: Any = model.get_submodule(family.base)
        assert len(list(encoder.get_submodule(family.blocks).children())) == 2
        assert encoder.get_parameter(family.words).shape[0] == 40
