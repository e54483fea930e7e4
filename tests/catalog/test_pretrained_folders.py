"""What is wrong with a pretrained folder is said by `thresher check`, which imports neither torch nor transformers."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.pretrained_folders import write_folder
from helpers.pretrained_images import write_image_folder

from thresher.catalog.models import find_model_problems, find_model_to_fetch
from thresher.errors import RecipeError
from thresher.models.pretrained.folder import read_folder
from thresher.recipe import Recipe, dump
from thresher.recipe.reading import RecipeSource, check_recipe

FOLDER = "data/01_raw/theirs"


def recipe(model: dict[str, Any] | None = None, **encoding: Any) -> dict[str, Any]:
    return {
        "task": "classification",
        "data": {
            "modality": "text",
            "train": "raw.train",
            "test": "raw.test",
            "encoding": {"max_length": 20, **encoding},
        },
        "model": {"kind": "pretrained", "path": FOLDER, **(model or {})},
    }


def problems_of(values: dict[str, Any], project: Path) -> list[str]:
    return [f"{'.'.join(map(str, place))}: {what}. {fix}" for place, what, fix in find_model_problems(values, project)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("sound") / "theirs")


@pytest.fixture
def project(tmp_path: Path, sound: Path) -> Path:
    shutil.copytree(sound, tmp_path / FOLDER)
    return tmp_path


def change(name: str, **fields: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**document, **fields}))

    return apply


def shard(folder: Path, name: str = "model-00001-of-00002.safetensors", there: bool = True) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    if there:
        (folder / name).write_bytes(content)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))


def pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lead_outside(folder: Path) -> None:
    target = folder.parent / "elsewhere.safetensors"
    (folder / "model.safetensors").rename(target)
    (folder / "model.safetensors").symlink_to(target)


def more_tokens(folder: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text())
    document["model"]["vocab"] |= {f"more{number}": 1000 + number for number in range(3)}
    (folder / "tokenizer.json").write_text(json.dumps(document))


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, "no such folder. Allowed: a folder with config.json, tokenizer.json"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "has no config.json. Fix: copy the model's whole"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json. Fix: write it with"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors. .*init: random"),
    "a pickle": (pickle_alone, "pytorch_model.bin alone, and reading such a file can run code.*save_pretrained"),
    "a missing shard": (lambda folder: shard(folder, there=False), "names model-00001-of-00002.safetensors, which is"),
    "a shard elsewhere": (lambda folder: shard(folder, "../x.safetensors", False), "names the file '../x.safetensors'"),
    "a link outside": (lead_outside, "outside of the folder. .*cp -rL"),
    "code": (change("config.json", auto_map={"AutoModel": "m.M"}), "auto_map names Python code that would be run"),
    "no encoder": (
        change("config.json", model_type="gpt2"),
        "model_type 'gpt2' is no encoder that is known. .*bert",
    ),
    "another size": (change("config.json", hidden_size=40), r"has \[\d+, 32\], and config.json says \[\d+, 40\]"),
    "fewer blocks": (change("config.json", num_hidden_layers=1), "they have 2 blocks, and it says 1"),
    "another padding": (
        change("config.json", pad_token_id=3),
        "pads with token 0, and config.json says pad_token_id 3",
    ),
    "more tokens": (more_tokens, "tokenizer makes tokens up to 1,002, and config.json says vocab_size"),
    "short": (change("config.json", max_position_embeddings=10), "takes texts of at most 10 tokens.*max_length is 20"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json: is no JSON"),
    "a byte short": (
        lambda folder: (path := folder / "model.safetensors").write_bytes(path.read_bytes()[:-1]),
        "lacks 1 bytes of what its header says",
    ),
    "a byte more": (
        lambda folder: (path := folder / "model.safetensors").write_bytes(path.read_bytes() + b"x"),
        "has 1 bytes beyond what its header says",
    ),
    "damaged": (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 9), "is no safetensors file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_fix(what: str, project: Path) -> None:
    spoil, says = WRONG[what]
    spoil(project / FOLDER)
    (problem,) = problems_of(recipe(), project)
    assert (problem.startswith("model.path: ") and "Fix: " in problem) or "Allowed: " in problem
    assert re.search(says, problem), problem


def test_the_command_that_copies_can_be_pasted_whatever_the_folder_is_called(project: Path) -> None:
    folder = project / FOLDER
    lead_outside(folder)
    folder = folder.rename(folder.with_name("their model"))
    (problem,) = problems_of(recipe({"path": str(folder.relative_to(project))}), project)
    command = problem.partition("what links point to: ")[2]
    assert shlex.split(command)[:3] == ["cp", "-rL", str(folder)]


def test_a_sound_folder_has_no_problem_whole_or_in_shards(project: Path) -> None:
    assert problems_of(recipe(), project) == []
    shard(project / FOLDER)
    assert problems_of(recipe(), project) == []
    (project / FOLDER / "model-00001-of-00002.safetensors").unlink()
    assert problems_of(recipe({"init": "random"}), project) == []
    (problem,) = problems_of(recipe({"init": "random", "freeze": {"blocks": 3}}), project)
    assert "has 2 blocks, and freeze.blocks is 3" in problem


def test_no_more_blocks_are_kept_than_the_folder_has(project: Path) -> None:
    steps = [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "drop_layers", "keep": 2}]
    (problem,) = problems_of({**recipe(), "candidates": {"short": steps}}, project)
    assert problem.startswith("candidates.short.steps.1.keep: keeps 2 of 2 blocks") and "Allowed: 1 to 1." in problem
    steps[1]["keep"] = 1
    assert problems_of({**recipe(), "candidates": {"short": steps}}, project) == []


def test_the_check_reads_no_more_of_weights_than_their_header(project: Path) -> None:
    read = read_folder(project / FOLDER, True, headers_alone=True)
    (header,) = read.weights.values()
    assert len(header) < read.num_bytes["model.safetensors"] - 10_000
    assert b"word_embeddings" in header


def with_student(**student: Any) -> dict[str, Any]:
    step = {"kind": "distill", "student": {"kind": "pretrained", "path": "data/01_raw/small", **student}}
    return {**recipe(), "candidates": {"small": [step]}}


def test_a_students_folder_is_checked_against_the_teachers_tokenizer(project: Path) -> None:
    place, small = "candidates.small.steps.0.student.path: ", project / "data/01_raw/small"
    (problem,) = problems_of(with_student(), project)
    assert problem.startswith(place) and "no such folder" in problem
    write_folder(small, "distilbert")
    assert problems_of(with_student(), project) == []
    change("tokenizer.json", normalizer=None)(small)
    (problem,) = problems_of(with_student(), project)
    assert problem.startswith(place) and "which is not the recipe's: it differs in normalizer. Allowed" in problem
    assert "init: random}" in problem and problems_of(with_student(init="random"), project) == []
    change("config.json", max_position_embeddings=19)(small)
    (problem,) = problems_of(with_student(init="random"), project)
    assert "takes texts of at most 19 tokens, and data.encoding.max_length is 20" in problem
    change("config.json", model_type="vit")(small)
    (problem,) = problems_of(with_student(init="random"), project)
    assert problem.startswith(place) and "takes data of modality image" in problem


def images(**model: Any) -> dict[str, Any]:
    data = {"modality": "image", "train": "raw.train", "test": "raw.test"}
    return {"task": "classification", "data": data, "model": {"kind": "pretrained", "path": FOLDER, **model}}


@pytest.fixture(scope="module")
def sound_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_folder(tmp_path_factory.mktemp("sound") / "theirs", "vit")


WRONG_IMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no processor": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        "has no preprocessor_config.json. Fix: write it with transformers: AutoImageProcessor",
    ),
    "another size": (
        change("preprocessor_config.json", size={"height": 24, "width": 32}),
        "takes images of 32x32 pixels, and preprocessor_config.json makes 24x32 of them",
    ),
    "unknown": (
        change("preprocessor_config.json", do_pad=True),
        "preprocessor_config.json: do_pad True is not supported",
    ),
    "no JSON": (
        lambda folder: (folder / "preprocessor_config.json").write_text("{"),
        "preprocessor_config.json: is no JSON",
    ),
    "grey": (change("config.json", num_channels=1), "image_mean has 3 values, and config.json says 1"),
    "of texts": (change("config.json", model_type="bert"), "model_type bert takes data of modality text, and data.mod"),
    "of other blocks": (change("config.json", num_hidden_layers=3), "they have 2 blocks, and it says 3"),
    "of another family": (
        change("config.json", model_type="mobilenet_v2"),
        "not the weights of a mobilenet_v2: no conv_stem.first_conv.convolution.weight in them",
    ),
}


@pytest.mark.parametrize("what", WRONG_IMAGES)
def test_what_is_wrong_with_a_folder_of_images_is_told(what: str, tmp_path: Path, sound_images: Path) -> None:
    shutil.copytree(sound_images, tmp_path / FOLDER)
    assert problems_of(images(freeze={"blocks": 2}), tmp_path) == []
    spoil, says = WRONG_IMAGES[what]
    spoil(tmp_path / FOLDER)
    (problem,) = problems_of(images(), tmp_path)
    assert says in problem and "Fix: " in problem, problem


def test_a_folder_of_images_is_none_of_texts(tmp_path: Path, sound_images: Path) -> None:
    shutil.copytree(sound_images, tmp_path / FOLDER)
    (problem,) = problems_of(recipe(), tmp_path)
    assert "model_type vit takes data of modality image, and data.modality is text. Fix: one of bert" in problem
    no_modality = {key: value for key, value in images()["data"].items() if key != "modality"}
    assert problems_of({**images(), "data": no_modality}, tmp_path) == []
    (problem,) = problems_of(images(freeze={"blocks": 3}), tmp_path)
    assert "has 2 blocks, and freeze.blocks is 3" in problem


CHECK = """
import sys
from pathlib import Path
from thresher.catalog.models import find_model_problems
print(find_model_problems(eval(sys.argv[1]), Path(sys.argv[2])))
assert not {"torch", "transformers"} & set(sys.modules), "too much was imported"
"""


def test_the_check_imports_neither_torch_nor_transformers(project: Path) -> None:
    command = [sys.executable, "-c", CHECK, repr(recipe()), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_missing_library_is_told_with_the_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # Python then finds none, and says so
    (problem,) = problems_of(recipe(), project)
    assert "pip install 'thresher[pretrained]'" in problem


def test_a_known_model_that_is_missing_is_told_with_the_command(tmp_path: Path) -> None:
    (problem,) = problems_of(recipe({"path": "data/01_raw/minilm"}), tmp_path)
    assert "thresher fetch minilm" in problem


def test_a_known_model_that_is_missing_makes_no_recipe_unsound(tmp_path: Path) -> None:
    values = recipe({"path": "data/01_raw/minilm"})
    assert find_model_to_fetch(values, tmp_path) == "minilm"
    (tmp_path / "data/01_raw/minilm").mkdir(parents=True)
    assert find_model_to_fetch(values, tmp_path) is None
    assert find_model_to_fetch(recipe({"path": "data/01_raw/other"}), tmp_path) is None


def test_so_is_a_known_checkpoint(tmp_path: Path) -> None:
    path = "data/01_raw/efficientnet_lite0/model.safetensors"
    values = {**recipe(), "model": {"kind": "checkpoint", "architecture": "lenet", "path": path}}
    assert find_model_to_fetch(values, tmp_path) == "efficientnet_lite0"
    (problem,) = problems_of(values, tmp_path)
    assert "no such file" in problem and "thresher fetch efficientnet_lite0" in problem


def test_a_recipe_takes_the_folders_tokenizer_without_being_told() -> None:
    read = Recipe.model_validate(recipe())
    assert dump(read)["data"]["encoding"]["tokenizer"] == "pretrained"
    assert Recipe.model_validate(dump(read)) == read


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (recipe(tokenizer="word"), "a pretrained model takes tokens of its own tokenizer"),
        ({**recipe(tokenizer="pretrained"), "model": {"kind": "textcnn"}}, "a textcnn brings no tokenizer along"),
        (recipe({"architecture": {}}), "is read from config.json of the folder"),
        (
            {**recipe({"layer_decay": 0.9}), "training": {"optimizer": {"kind": "lbfgs"}, "batch_size": "full"}},
            "lbfgs has one rate for all weights",
        ),
    ],
)
def test_what_does_not_go_together_is_told(values: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_recipe(RecipeSource("r", "pipelines/r.yml", values, {}))
    assert says in str(caught.value)
