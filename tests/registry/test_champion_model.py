"""The champion in this process: files that it answers, and those that it refuses in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.digits_bundle import digits_encoder, write_digits_bundle
from helpers.tiny_onnx import make_sum_onnx

from thresher.errors import ThresherError
from thresher.registry.champion_model import ChampionModel
from thresher.serving.core.bundle import read_bundle

BLANK = [[0] * 8] * 8


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> ChampionModel:
    folder = tmp_path_factory.mktemp("bundle")
    write_digits_bundle(folder, make_sum_onnx(digits_encoder().model_input, 10))
    return ChampionModel(read_bundle(folder))


@pytest.mark.parametrize("count", [1, 129])
def test_a_file_of_samples_has_an_answer_each(champion: ChampionModel, tmp_path: Path, count: int) -> None:
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"images": [BLANK] * count}))
    assert len(champion.predict_file(path)) == count
    assert champion.predict([BLANK] * count) == champion.predict_file(path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.json", b"", "Malformed JSON: it is empty"),
        ("list.json", b"[1]", "Expected a JSON object"),
        ("none.json", b'{"images": []}', "must be a list of one or more"),
        ("utf16.json", b"\xff\xfe{\0", "it is in UTF-16 or UTF-32; send UTF-8"),
        ("empty.png", b"", "Not a readable PNG or JPEG file"),
    ],
    ids=["empty", "list", "none", "utf16", "picture"],
)
def test_a_file_that_holds_no_samples_is_an_error_that_a_user_can_mend(
    champion: ChampionModel, tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ThresherError, match=why):
        champion.predict_file(path)
