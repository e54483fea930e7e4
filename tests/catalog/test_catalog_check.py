"""`thresher check` of the catalog: what a person writes wrongly is said with its place before anything runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from safetensors.numpy import save_file

from thresher.__main__ import thresher
from thresher.catalog.check import CheckedRecipe, check_project, require_sound_data
from thresher.catalog.columns import OF_ALL
from thresher.config_loader import make_loader
from thresher.contracts.check import LEAK_COLUMN
from thresher.errors import RecipeError, ThresherError
from thresher.kinds.built_in import READERS
from thresher.kinds.record import ModalityKind
from thresher.kinds.registry import registry
from thresher.modalities.description import describe
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoding
from thresher.modalities.text.encoder import TextEncoding

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Kedro calls OmegaConf by an old name

RECIPE = """\
task: classification
data:
  modality: tabular
  train: cats.train
  test: cats.test
model: {kind: mlp}
training: {epochs: 1}
"""
CATALOG = """\
cats.train: &cats
  type: thresher.readers.TableFile
  path: data
  file: cats.csv
  label: kind
  split: train
  test_share: 0.3
  seed: 1
cats.test:
  <<: *cats
  split: test
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("conf/base", "conf/local", "conf/gpu", "pipelines", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pipelines/cats.yml").write_text(RECIPE)
    (tmp_path / "conf/base/catalog.yml").write_text(CATALOG)
    (tmp_path / "conf/base/mlflow.yml").write_text("{}\n")
    shutil.copy(Path(__file__).parents[2] / "bentofile.yaml", tmp_path)
    (tmp_path / "data/cats.csv").write_text("# made\nweight,colour,kind\n1.5,red,a\n2.5,grey,b\n")
    return tmp_path


def catalog(folder: Path, old: str, new: str, file: str = "conf/base/catalog.yml") -> None:
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def check(folder: Path, env: str | None = None, **params: Any) -> str:
    """Return what is said of the recipe `cats`."""
    loader = make_loader(folder, env)
    (checked,) = [one for one in check_project(loader, ["cats"]) if isinstance(one, CheckedRecipe)]
    return str(checked.error or "sound")


def test_a_sound_catalog_is_sound(folder: Path) -> None:
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    assert check(folder) == "sound"
    require_sound_data(make_loader(folder), "cats")


@pytest.mark.oddity("Recipes and catalog", "columns divided by a semicolon", "check says which delimiter to write")
def test_another_delimiter_is_told_where_columns_are_missing(folder: Path) -> None:
    (folder / "data/cats.csv").write_text("weight;colour;kind\n1,5;red;a\n2,5;grey;b\n")
    catalog(folder, "label: kind", "label: kind\n  drop: [colour]")
    told = check(folder)
    assert "Recipe cats: 1 problem" in told
    assert (
        "label: the file has no column 'kind'\n    Fix: the file seems to be separated by ';': write 'delimiter: "
        in told
    )
    catalog(folder, "label: kind", 'label: kind\n  delimiter: ";"')
    assert check(folder) == "sound"


@pytest.mark.oddity(
    "Recipes and catalog", "an argument of another type in the catalog", "refused with file, line and fix"
)
@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("seed: 1", "missing: NA", 8, "Allowed: a list of texts and whole numbers. Fix: write missing: [NA]"),
        ("seed: 1", "header: 'no'", 8, "header: 'no' given\n    Allowed: true or false. Fix: write header: false"),
        ("seed: 1", "delimiter: ';;'", 8, "delimiter: ';;' given\n    Allowed: exactly one character"),
        ("seed: 1", "seed: -1", 8, "seed: -1 given\n    Allowed: a whole number from 0"),
        ("test_share: 0.3", "test_share: '0.3'", 7, "test_share: '0.3' given"),
        ("label: kind", "lable: kind", 5, "lable: there is no such argument\n    Did you mean 'label'?"),
        ("file: cats.csv", "file: cat.csv", 4, "cat.csv: no such file or folder\n    Did you mean 'cats.csv' in"),
        ("file: cats.csv", "file: .", 4, "a folder\n    Fix: name a file in it"),
        ("path: data", "path: date", 4, "no such file or folder\n    Did you mean 'data' in"),
        ("label: kind", "label: kinds", 5, "label: the file has no column 'kinds'\n    Did you mean 'kind'?"),
        ("seed: 1", "group: color", 8, "cats.train.group: the file has no column 'color'\n    Did you mean 'colour'?"),
        ("seed: 1", "drop: [color]", 8, "cats.train.drop: the file has no column 'color'\n    Did you mean 'colour'?"),
        ("readers.TableFile", "readers.TabelFile", 2, "TabelFile'\n    Did you mean 'thresher.readers.TableFile'?"),
        ("thresher.readers.TableFile", "TableFile", 2, "Did you mean 'thresher.readers.TableFile'?"),
        ("readers.TableFile", "reader.TableFile", 2, "Did you mean 'thresher.readers.TableFile'?"),
        ("thresher.readers.TableFile", "thresher.datasets.local.ArrayDataset", 2, "does not give samples"),
        ("thresher.readers.TableFile", "pandas.CSVDataset", 2, "'pandas.CSVDataset' does not give samples"),
        ("thresher.readers.TableFile", "pathlib.Path", 2, "'pathlib.Path' is not a dataset"),
        ("thresher.readers.TableFile", "mine.Nothing", 2, "there is no class 'mine.Nothing'"),
        ("seed: 1", "fetch: adlut", 8, "'adlut' is not a known data set\n    Did you mean 'adult'?"),
    ],
)  # fmt: skip
def test_each_mistake_of_an_entry_is_told_once_with_its_line(
    folder: Path, old: str, new: str, line: int, says: str
) -> None:
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    catalog(folder, old, new)
    shift = 1 if line > 5 else 0
    told = check(folder)
    assert says in told
    assert told.count(f"conf/base/catalog.yml:{line + shift} cats.") == 1
    with pytest.raises(RecipeError) as caught:
        require_sound_data(make_loader(folder), "cats")
    assert str(caught.value) == told


def test_case_22_text_where_a_list_belongs(folder: Path) -> None:
    (folder / "conf/base/catalog.yml").write_text(
        "f22.train: &f22 {type: thresher.readers.TableFile, path: data, file: cats.csv, "
        'label: "y", missing: NA, split: train, test_share: 0.3, seed: 1}\n'
        "f22.test: {<<: *f22, split: test}\n"
    )
    catalog(folder, "cats.train", "f22.train", "pipelines/cats.yml")
    catalog(folder, "cats.test", "f22.test", "pipelines/cats.yml")
    told = check(folder)
    assert "conf/base/catalog.yml:1 f22.train.missing: 'NA' given" in told
    assert "Fix: write missing: [NA]" in told


@pytest.mark.oddity("Recipes and catalog", "a recipe that names no entry of the catalog", "said with the nearest entry")
def test_recipe_and_catalog_are_checked_in_one_round(folder: Path) -> None:
    catalog(folder, "cats.test", "cat.tests", "pipelines/cats.yml")
    catalog(folder, "{epochs: 1}", "{epoch: 1}", "pipelines/cats.yml")
    catalog(folder, "seed: 1", "seed: -1")
    told = check(folder)
    assert "Recipe cats: 3 problems" in told
    assert "cats.yml:5 data.test: there is no entry 'cat.tests' in the catalog (conf/base/catalog.yml)" in told
    assert "Did you mean 'cats.test'? Allowed: cats.test, cats.train." in told
    assert "training.epoch: unknown key 'epoch'" in told
    assert "catalog.yml:8 cats.train.seed: -1 given" in told


def test_an_environment_counts_before_base(folder: Path) -> None:
    (folder / "conf/gpu/catalog.yml").write_text("cats.train: {type: thresher.readers.TableFile, file: x.csv}\n")
    assert "conf/gpu/catalog.yml:1 cats.train.label: it is missing" in check(folder, "gpu")
    (folder / "conf/local/catalog.yml").write_text("cats.test: [1]\n")
    assert "conf/local/catalog.yml:1 cats.test: is a list, where a mapping with a 'type' is expected" in check(folder)


def test_broken_entries_that_no_recipe_names_harm_none(folder: Path) -> None:
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    text = (folder / "conf/base/catalog.yml").read_text()
    (folder / "conf/base/catalog.yml").write_text(
        f"{text}other: {{type: no.Such, seed: -1}}\nlist: [1]\nbad: '${{x}}'\n"
    )
    assert check(folder) == "sound"
    require_sound_data(make_loader(folder), "cats")


def test_a_factory_pattern_is_an_entry(folder: Path) -> None:
    (folder / "conf/base/catalog.yml").write_text(
        '"{name}.train": {type: thresher.readers.ImageFolder, path: "data/{name}", sise: [2, 2]}\n'
        '"{name}.test": {type: thresher.readers.ImageFolder, path: "data/{name}"}\n'
    )
    told = check(folder)
    assert "catalog.yml:1 {name}.train.sise: there is no such argument\n    Did you mean 'size'?" in told
    assert f"catalog.yml:2 {{name}}.test.path: {folder}/data/cats: no such file or folder" in told


def test_data_that_is_not_fetched_is_a_note_in_check_and_an_error_in_a_run(folder: Path) -> None:
    catalog(folder, "file: cats.csv", "file: adult.data\n  fetch: adult")
    (checked,) = check_project(make_loader(folder), [])
    assert isinstance(checked, CheckedRecipe)
    assert (checked.error, checked.to_fetch) == (None, ["adult"])
    with pytest.raises(RecipeError, match=r"adult.data: no such file or folder\n    Fix: run 'thresher fetch adult'"):
        require_sound_data(make_loader(folder), "cats")


OWN = "from kedro.io import MemoryDataset\nclass Own(MemoryDataset):\n"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def broken(:\n", "importing mine_{n}.ds fails: SyntaxError: invalid syntax"),
        ("import no_such_library\n", "importing mine_{n}.ds fails: ModuleNotFoundError"),
        ("1 / 0\n", "importing mine_{n}.ds fails: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "importing mine_{n}.ds fails: SystemExit"),
        ("class Others: ...\n", "there is no class 'mine_{n}.ds.Own'"),
        ("class Own: ...\n", "'mine_{n}.ds.Own' is not a dataset"),
        (f"{OWN}  def __init__(self, *, name): ...\n", "mine_{n}.ds.Own refuses its arguments: TypeError"),
        (f"{OWN}  def __init__(self, **given): ...\n", "sound"),
        ("from thresher.readers import TableFile\nclass Own(TableFile): ...\n", "sound"),
        ("from thresher.readers import TableFile\nclass Own(TableFile):\n"
         "  def __init__(self, *, seed, **others): super().__init__(**others)\n", "sound"),
        ("from thresher.readers import TableFile\nclass Own(TableFile):\n"
         "  def __init__(self, *, seed, **others): super().__init__(**others, header='no')\n", "header: 'no' given"),
    ],
)  # fmt: skip
def test_a_class_of_the_users_own_is_imported_and_fails_in_words(
    folder: Path, code: str, says: str, request: pytest.FixtureRequest
) -> None:
    number = abs(hash(code))
    (folder / f"src/mine_{number}").mkdir(parents=True)
    (folder / f"src/mine_{number}/ds.py").write_text(code)
    catalog(folder, "thresher.readers.TableFile", f"mine_{number}.ds.Own")
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    assert says.format(n=number) in check(folder)


@pytest.mark.parametrize(
    ("recipe", "entry", "says"),
    [
        ({"modality: tabular": "modality: image"}, {}, "'image' given, but cats.train (TableFile) is tabular"),
        ({"task: classification": "task: regression"}, {}, "task: 'regression' given, but cats.train gives classes"),
        ({}, {"seed: 1": "seed: 1\n  regression: true"}, "but cats.train gives numbers as labels"),
        ({"test: cats.test": "test: cats.train"}, {}, "data.test: 'cats.train' is named under data.train as well"),
        ({}, {"split: test": "seed: 1"}, "'train' in cats.train and cats.test: both give the same samples"),
        ({}, {"  split: train\n  test_share: 0.3\n": "", "  split: test\n": ""}, "no split in cats.train and"),
        ({}, {"split: test": "split: test\n  seed: 2"}, "cats.test.seed: 2 here, 1 in cats.train: parts of two splits"),
        ({}, {"split: test": "split: test\n  test_share: 0.2"}, "cats.test.test_share: 0.2 here, 0.3 in cats.train"),
    ],
)  # fmt: skip
def test_entries_that_do_not_fit_the_recipe_or_each_other(
    folder: Path, recipe: dict[str, str], entry: dict[str, str], says: str
) -> None:
    for old, new in recipe.items():
        catalog(folder, old, new, "pipelines/cats.yml")
    for old, new in entry.items():
        catalog(folder, old, new)
    assert says in check(folder)


def test_a_metric_of_a_class_that_the_entry_does_not_name_is_told(folder: Path) -> None:
    catalog(folder, "label: kind", 'label: kind\n  class_names: [a, b]\n  skip_lines_starting_with: "#"')
    metrics = (
        "\nselection: {maximize: 'f1[c]', require: {'recall[a]': {at_least: 0.5}, 'recall[B]_drop': {at_most: 0.1}}}\n"
    )
    catalog(folder, "{epochs: 1}", "{epochs: 1}" + metrics, "pipelines/cats.yml")
    told = check(folder)
    assert "Recipe cats: 2 problems" in told
    assert "selection.maximize: 'f1[c]': cats.train has no class 'c'\n    Allowed: a, b." in told
    assert "'recall[B]_drop': cats.train has no class 'B'\n    Did you mean 'b'?" in told


def test_as_many_guesses_as_the_entry_has_classes_are_told(folder: Path) -> None:
    catalog(folder, "label: kind", 'label: kind\n  class_names: [a, b]\n  skip_lines_starting_with: "#"')
    bounds = "\nselection: {require: {'top_k_accuracy[2]': {at_least: 0.9}, 'top_k_accuracy[9]': {at_least: 0.9}}}\n"
    catalog(folder, "{epochs: 1}", "{epochs: 1}" + bounds, "pipelines/cats.yml")
    told = check(folder)
    assert "'top_k_accuracy[9]': cats.train has 2 classes, of which so many guesses are always right" in told
    assert "Recipe cats: 2 problems" in told


CONTRACT = """\
  contract:
    - expect_column_values_to_be_between: {column: wieght, min_value: 0}
    - expect_column_values_to_not_be_null: {column: weight, row_condition: 'col("spilt") == "test"'}
    - expect_column_pair_values_to_be_equal: {column_A: weight, column_B: colours}
    - expect_column_values_to_not_be_null: {column: label}
model"""
SLICES = "\nselection: {slices: {by: [colour, wight], accuracy_drop: {at_most: 0.1}}}\n"


@pytest.mark.oddity("Splits and contracts", "a contract that names no column", "said by check, with the nearest")
def test_columns_of_the_contract_and_of_slices_are_those_of_the_file(folder: Path) -> None:
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    catalog(folder, "model", CONTRACT, "pipelines/cats.yml")
    catalog(folder, "{epochs: 1}", "{epochs: 1}" + SLICES, "pipelines/cats.yml")
    told = check(folder)
    assert "Recipe cats: 4 problems" in told
    assert (
        "pipelines/cats.yml:7 data.contract.0.expect_column_values_to_be_between.column: the sample table has no"
        in told
    )
    assert "no column 'wieght'\n    Did you mean 'weight'?" in told
    assert "no column 'spilt'\n    Did you mean 'split'?" in told
    assert "no column 'colours'\n    Did you mean 'colour'?" in told
    assert "selection.slices.by.1: the sample table has no column 'wight'" in told


@pytest.mark.parametrize("modality", ["image", "text", "series"])
def test_columns_of_other_modalities_are_known_without_data(folder: Path, modality: str) -> None:
    encodings: dict[str, tuple[Any, Any]] = {
        "image": (ImageEncoding(), np.zeros((1, 1, 2, 2), np.uint8)),
        "text": (TextEncoding(), np.array(["a"], dtype=object)),
        "series": (SeriesEncoding(), np.array([np.zeros((2, 1), np.float32), None], dtype=object)[:1]),
    }
    encoding, inputs = encodings[modality]
    table = describe(Samples(inputs, np.zeros(1, np.int64), ("a",)), "train", encoding)
    known = {*OF_ALL, "class_name", *registry().find(ModalityKind, modality).load("description").COLUMNS}
    assert set(table.columns) <= known
    assert known - set(table.columns) <= {LEAK_COLUMN, "normal_hash"}


def test_columns_of_parquet_are_read_of_its_schema(folder: Path) -> None:
    parquet.write_table(pa.table({"weight": [1.0], "colour": ["a"], "kind": ["a"]}), folder / "data/cats.parquet")
    catalog(folder, "cats.csv", "cats.parquet")
    catalog(folder, "model", CONTRACT, "pipelines/cats.yml")
    assert "no column 'wieght'\n    Did you mean 'weight'?" in check(folder)


def test_every_reader_has_a_modality() -> None:
    assert {kind.load().modality for kind in READERS} == {"image", "text", "tabular", "series"}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("{kind: onnx, path: data/theirs.onxn}", "theirs.onxn: no such file\n    Did you mean 'theirs.onnx' in"),
        ("{kind: onnx, path: data/theirs.onnx}", "theirs.onnx: not an ONNX file"),
        ("{kind: exported, trust: true, path: data/no.pt2}", "no.pt2: no such file"),
        ("{kind: checkpoint, architecture: mlp, path: data/weights.safetensors}",
         "not the weights of this mlp: the architecture alone has: embedding.embeddings.0.weight [?, ?]"),
    ],
)  # fmt: skip
def test_the_file_of_a_model_from_elsewhere_is_checked(folder: Path, model: str, says: str) -> None:
    (folder / "data/theirs.onnx").write_bytes(b"no model")
    save_file({"module.first.weight": np.zeros((2, 2), np.float32)}, folder / "data/weights.safetensors")
    catalog(folder, "{kind: mlp}", model, "pipelines/cats.yml")
    told = check(folder)
    assert "pipelines/cats.yml:6 model.path: " in told
    assert says in told


def test_the_command_finds_the_project_from_below_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    (folder / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    monkeypatch.chdir(folder / "data")
    catalog(folder, "label: kind", 'label: kind\n  skip_lines_starting_with: "#"')
    result = CliRunner().invoke(thresher, ["check"])
    assert (result.exit_code, result.output) == (0, "cats: sound, 1 candidate\n")
    (folder / "conf/base/catalog.yml").write_text("a: [\n")
    (folder / "conf/base/mlflow.yml").write_text("a:\n\tb\n")
    result = CliRunner().invoke(thresher, ["check"])
    assert result.exit_code == 1
    assert "conf/base/catalog.yml:2: " in result.output
    assert "conf/base/mlflow.yml:2: " in result.output
    assert "cats: sound, 1 candidate; its data could not be checked\n" in result.output


def test_what_else_is_wrong_in_conf_is_said(folder: Path) -> None:
    (folder / "conf/base/mlflow.yml").write_text("tracking_url: http://here\n")
    (folder / "conf/logging.yml").write_text("version: 1\n\thandlers: {}\n")
    (folder / "pipelines/dogs.yaml").write_text(RECIPE)
    told = "\n".join(map(str, check_project(make_loader(folder), [])))
    assert "mlflow.yml: there is no key 'tracking_url' (Did you mean 'tracking_uri'?)" in told
    assert "conf/logging.yml:2: found character" in told
    assert "pipelines/dogs.yaml: is not read: a recipe's file ends in .yml. Fix: rename it dogs.yml." in told


def test_a_run_says_the_same_before_anything_else_and_shows_no_traceback(folder: Path, project: Path) -> None:
    (folder / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    (folder / "conf/logging.yml").write_text((project / "conf/logging.yml").read_text())
    (folder / "src").mkdir()
    catalog(folder, "seed: 1", "missing: NA")
    command = [sys.executable, "-m", "kedro", "run", "--pipeline", "cats"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "conf/base/catalog.yml:8 cats.train.missing: 'NA' given" in done.stderr
    assert not list(folder.glob("mlflow.db"))


def test_broken_credentials_are_told_with_the_rest(folder: Path) -> None:
    (folder / "conf/local/credentials.yml").write_text("a: [\n")
    told = [str(one) for one in check_project(make_loader(folder), ["cats"]) if isinstance(one, ThresherError)]
    assert any("conf/local/credentials.yml:2: expected the node content" in text for text in told)


@pytest.mark.oddity("Recipes and catalog", "a mistyped column of JSON or of .csv.zst", "check names it")
@pytest.mark.parametrize("name", ["cats.jsonl", "cats.json", "cats.csv.zst"])
def test_columns_of_json_and_of_zst_are_checked(folder: Path, name: str) -> None:
    text = '{"weight": 1.5, "kind": "a"}\n{"weight": 2.5, "colour": "grey", "kind": "b"}\n'
    content = b"weight,colour,kind\n1.5,red,a\n" if name.endswith("zst") else text.encode()
    with pa.output_stream(folder / "data" / name, compression="detect") as file:
        file.write(content)
    catalog(folder, "cats.csv", name)
    assert check(folder) == "sound"
    catalog(folder, "label: kind", "label: kind\n  drop: [color]")
    assert "drop: the file has no column 'color'\n    Did you mean 'colour'?" in check(folder)


@pytest.mark.oddity("Recipes and catalog", "an empty file", "check says that it is empty")
def test_an_empty_file_is_said(folder: Path) -> None:
    (folder / "data/cats.csv").write_text("")
    assert "cats.csv: the file is empty\n    Fix: name another file" in check(folder)


@pytest.mark.oddity(
    "Recipes and catalog", "a batch norm that gets one number a channel (batch_size 1)", "check refuses it"
)
@pytest.mark.parametrize(
    ("model", "side", "training", "is_sound"),
    [
        ("{kind: resnet, depth: 8, width: 4}", 2, "{epochs: 1, batch_size: 1}", False),
        ("{kind: resnet, depth: 8, width: 4}", 5, "{epochs: 1, batch_size: 1}", True),
        ("{kind: resnet, depth: 8, width: 4}", 4, "{epochs: 1, batch_size: 8, accumulation: 8}", False),
        ("{kind: resnet, depth: 8, width: 4}", 2, "{epochs: 1, batch_size: 2}", True),
        ("{kind: cnn, channels: [4, 4]}", 2, "{epochs: 1, batch_size: 1}", False),
        ("{kind: cnn, channels: [4]}", 2, "{epochs: 1, batch_size: 1}", True),
        ("{kind: mlp}", 2, "{epochs: 1, batch_size: 1}", True),
    ],
)
def test_case_14b_one_number_a_channel(folder: Path, model: str, side: int, training: str, is_sound: bool) -> None:
    np.savez(folder / "data/f.npz", images=np.zeros((6, side, side), np.uint8), labels=np.arange(6) % 2)
    (folder / "conf/base/catalog.yml").write_text(
        "cats.train: {type: thresher.readers.NpzImages, path: data, file: f.npz}\n"
        "cats.test: {type: thresher.readers.NpzImages, path: data, file: f.npz, duplicates: drop}\n"
    )
    (folder / "pipelines/cats.yml").write_text(
        "task: classification\ndata: {modality: image, train: cats.train, test: cats.test}\n"
        f"model: {model}\ntraining: {training}\n"
    )
    told = check(folder)
    assert ("leaves the last batch norm of a" in told) != is_sound
    assert is_sound or f"cats.yml:4 training.{'accumulation' if 'acc' in training else 'batch_size'}: " in told
