"""The commands on a real registry: aliases move, the history says so, and nothing else happens."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from filelock import FileLock
from helpers.registry_project import RegistryProject, make_bundle
from kedro.io import DatasetError
from mlflow import MlflowClient

from thresher.datasets.champion import ChampionDataset, EnteredChallengerDataset, SetAsideDataset
from thresher.evaluation.promotion_gate import Challenge
from thresher.serving.core.bundle import hash_content
from thresher.tracking.logs import log
from thresher.tracking.run_context import TRACKING_URI

pytestmark = pytest.mark.slow

WHY = ("--reason", "slow at night", "--no-bento")


@pytest.mark.end_to_end
def test_a_life_of_champions_on_a_server(small: RegistryProject, server: str) -> None:
    small.tracking_uri = server
    first, second, third = make_bundle(0.001, reason="there was no champion"), make_bundle(0.002), make_bundle(0.003)
    small.crown(first, second)
    small.enter(make_bundle(0.003, "int8", reason="larger than the champion"))
    assert small.aliases == {"champion": "2", "challenger": "3"}

    said = small.done("promote", "small", "--reason", "  looks better  ", "--no-bento")
    assert said.startswith("Version 3 is champion of small; before, it was version 2. Its Bento was not built.")
    assert said.endswith("Build it: thresher promote small 3 --reason TEXT")
    assert small.aliases == {"champion": "3"}  # it challenges itself no more

    assert "Version 2 is champion of small; before, it was version 3." in small.done("rollback", "small", *WHY)
    assert "Version 1 is champion of small; before, it was version 2." in small.done("rollback", "small", *WHY)
    said = small.refused("rollback", "small", *WHY)
    assert said.startswith("Recipe small: nothing to roll back to: version 1 is the first champion that the history")
    assert "Fix: thresher promote small VERSION --reason TEXT. Allowed: 1, 2, 3." in said
    assert small.aliases == {"champion": "1"}

    away = SetAsideDataset("small").load()
    assert away == {
        hash_content(third.onnx_bytes, third.encoder): "it was rolled back from as version 3: slow at night",
        hash_content(second.onnx_bytes, second.encoder): "it was rolled back from as version 2: slow at night",
    }
    assert "Version 2 is champion of small" in small.done("promote", "small", "2", *WHY)
    assert len(SetAsideDataset("small").load()) == 2  # the third, and the first, over which it was promoted

    champions, versions = small.done("history", "small").split("Versions")
    moves = re.findall(r"(\d) [-\d]+ [:\d]+ (?:now|[-\d]+ [:\d]+) (run|promote|rollback)", champions)
    assert moves == [
        ("2", "promote"),
        ("1", "rollback"),
        ("2", "rollback"),
        ("3", "promote"),
        ("2", "run"),
        ("1", "run"),
    ]
    assert champions.count("now") == 1 and champions.count("slow at night") == 3
    assert "looks better" in champions and "there was no champion" in champions
    assert re.search(r"2 \S+ \S+ half \w{8} champion 0.9020 2,000 bytes 50 us - 1 ", versions), versions
    assert re.search(r"3 \S+ \S+ int8 \w{8} - 0.9030 3,000 bytes 50 us larger than the champion", versions), versions


def test_what_is_champion_already_is_recorded_once(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001))
    assert "Version 1 is champion of small already; nothing is recorded." in small.done("promote", "small", "1", *WHY)
    assert small.done("history", "small").count("run") == 2  # the move, and a column


def test_a_champion_by_another_hand_is_part_of_the_history(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), make_bundle(0.002), make_bundle(0.003))
    MlflowClient(small.tracking_uri).set_registered_model_alias("small", "champion", "1")
    assert re.search(r"1 \? now something else", small.done("history", "small"))
    assert "Version 3 is champion of small; before, it was version 1." in small.done("rollback", "small", *WHY)


def test_a_deleted_version_is_no_way_back(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), make_bundle(0.002))
    MlflowClient(small.tracking_uri).delete_model_version("small", "1")
    said = small.refused("rollback", "small", *WHY)
    assert "version 1, champion before version 2, was deleted from the registry. Fix: thresher promote small" in said


@pytest.mark.oddity("Runs", "the same model wins again", "it is not registered again")
def test_the_same_model_is_registered_once_and_served_otherwise_is_another(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), make_bundle(0.001))
    assert small.aliases == {"champion": "1"}
    small.crown(make_bundle(0.002), make_bundle(0.001))  # an earlier version comes back under its own number
    assert small.aliases == {"champion": "1"}
    small.crown(make_bundle(0.001, max_batch_size=8))
    assert small.aliases == {"champion": "3"}
    assert "Version 3 has the very same model file" in small.done("promote", "small", "1", *WHY)


@pytest.mark.oddity("Runs", "an unchanged run after a person's promotion", "the promoted version stays")
def test_what_had_won_before_a_person_chose_does_not_come_back_by_a_run(small: RegistryProject) -> None:
    first, second, third = make_bundle(0.001), make_bundle(0.002), make_bundle(0.003)
    contents = [hash_content(bundle.onnx_bytes, bundle.encoder) for bundle in (first, second, third)]
    small.crown(first, second)
    with small.run():  # its winner lost: it is in no registry
        log(Challenge(replaces=False, reason="slower", winner_content=contents[2]), "small.challenge")
    assert SetAsideDataset("small").load() == {}
    small.done("promote", "small", "1", *WHY)
    assert SetAsideDataset("small").load() == {
        contents[1]: "version 1 was promoted over it, version 2: slow at night",
        contents[2]: "it had won already when version 1 was chosen (promote): slow at night",
    }
    small.done("promote", "small", "2", *WHY)
    assert contents[1] not in SetAsideDataset("small").load()


def model_folder(small: RegistryProject, number: str) -> Path:
    version = MlflowClient(small.tracking_uri).get_model_version("small", number)
    return Path(mlflow.artifacts.download_artifacts(version.source, tracking_uri=small.tracking_uri))


@pytest.mark.oddity("Runs", "a champion's file is altered in MLflow's store", "it is refused, with both hashes")
def test_what_was_altered_since_it_was_registered_is_not_loaded(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), replace(make_bundle(0.002), attachments={"card.md": b"# A card"}))
    folder = model_folder(small, "2")
    model = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(make_bundle(-0.002).onnx_bytes)
    dataset = ChampionDataset("small")
    with pytest.raises(DatasetError, match=r"Version 2 of small .*altered since it was registered: their SHA-256 is"):
        dataset.load()
    small.done("rollback", "small", *WHY)
    said = small.refused("promote", "small", "2", "--reason", "back")
    assert "Version 2 of small in MLflow's registry: its model file or encoder was altered" in said
    assert "Fix: bring back the file as it was" in said and small.aliases == {"champion": "1"}
    small.crown(make_bundle(0.002))  # a run that makes it again logs it again
    assert small.aliases == {"champion": "3"} and dataset.load() is not None

    (folder / "model.onnx").write_bytes(model)
    small.done("promote", "small", "2", *WHY)
    description = (folder / "MLmodel").read_text()
    for text, said in (
        (description.replace("[0.0]", "[1.0]").replace("- 0.0", "- 1.0"), "encoder was altered"),
        (
            description.replace("data: model.onnx", "data: ../model.onnx"),
            "names the file ../model.onnx, which lies",
        ),
        (description.replace("data: model.onnx", f"data: {folder / 'x' / '..'}/../../etc"), "which lies outside of"),
        ("flavors: [", "its file MLmodel cannot be read"),
        (description.replace("data: model.onnx", "data: other.onnx"), "its file other.onnx is gone"),
    ):
        assert text != description
        (folder / "MLmodel").write_text(text)
        with pytest.raises(DatasetError, match=re.escape(said)):
            dataset.load()
    (folder / "MLmodel").write_text(description)
    (folder / "model.onnx").rename(folder.parent / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere.onnx")
    with pytest.raises(DatasetError, match="which lies outside of"):
        dataset.load()
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(model)
    (card,) = folder.glob("attachments/*/card.md")
    card.write_text("# Another")
    with pytest.raises(DatasetError, match=r"a file in attachments/.* was altered"):
        dataset.load()


def test_mistakes_are_said_in_words(small: RegistryProject) -> None:
    assert "Recipe small: the registry holds no version of it. Run it first" in small.refused("history", "small")
    assert not (small.folder / "mlflow.db").exists()
    small.crown(make_bundle(0.001), make_bundle(0.002))
    for arguments, said in (
        (("promote", "smal", *WHY), "There is no recipe 'smal', in pipelines/ or registered. Did you mean 'small'?"),
        (("promote", "../small", *WHY), "There is no recipe '../small'"),
        (("promote", "small", "championn", *WHY), "no version 'championn'. Did you mean 'champion'? Allowed: 1, 2, "),
        (("promote", "small", "3", *WHY), "Recipe small: there is no version '3'. Allowed: 1, 2, champion."),
        (("promote", "small", *WHY), "no version has the alias 'challenger'. Name the one to be champion. Allowed: 1,"),
        (("rollback", "small", "--reason", " "), "--reason is empty"),
        (("rollback", "small", "--reason", "x" * 1001), "--reason has 1,001 characters; at most 1,000 are kept"),
        (("history", "small", "--env", "prodd"), "--env prodd: "),
    ):
        assert said in small.refused(*arguments)
    assert small.call("rollback", "small")[0] == 2
    assert small.aliases == {"champion": "2"}
    assert [path.name for path in (small.folder / ".thresher" / "locks").glob("*.lock")] == ["small.lock"]


def test_a_version_of_somebody_else_cannot_be_served(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001))
    client = MlflowClient(small.tracking_uri)
    version = client.get_model_version("small", "1")
    client.create_model_version("small", version.source)
    said = small.refused("promote", "small", "2", "--reason", "by hand")
    assert "Version 2 of small was not registered by Thresher: it has no tag 'candidate'. Fix: choose another" in said
    assert small.aliases == {"champion": "1"}


def test_a_recipe_that_is_being_run_is_left_alone(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), make_bundle(0.002))
    small.done("history", "small")
    (small.folder / ".thresher" / "locks").mkdir(parents=True)
    with FileLock(small.folder / ".thresher" / "locks" / "small.lock"):
        said = small.refused("rollback", "small", *WHY)
        assert "Recipe small is being run, and the run may crown a champion of its own. Wait" in said
    assert small.aliases == {"champion": "2"}


def test_a_server_that_is_not_there_is_said_in_words(small: RegistryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_URI, "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for command in (("history", "small"), ("rollback", "small", *WHY), ("promote", "small", "1", *WHY)):
        assert small.refused(*command).startswith("MLflow at http://127.0.0.1:9: ")


def test_a_loser_is_entered_once(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001))
    entered = EnteredChallengerDataset("small")
    assert entered.fingerprint(lambda path: None) == "nobody"
    small.enter(make_bundle(0.002))
    before = entered.fingerprint(lambda path: None)
    assert (before, entered.load()) == ("2", "2")
    small.enter(make_bundle(0.002))  # the same again
    small.enter(make_bundle(0.001))  # the champion's own model
    reigning = ChampionDataset("small").load()
    assert reigning is not None
    small.enter(reigning)
    assert small.aliases == {"champion": "1", "challenger": "2"}
    MlflowClient(small.tracking_uri).delete_registered_model_alias("small", "challenger")
    assert entered.fingerprint(lambda path: None) == before  # a person's choice makes no run enter it again
    small.enter(make_bundle(0.003))
    assert (entered.load(), small.aliases) == ("3", {"champion": "1", "challenger": "3"})


# In a process of its own: BentoML keeps the first home that it finds.
WITHOUT_A_BENTO = """
import os, sys
from pathlib import Path
from thresher.__main__ import thresher
from thresher.errors import ThresherError
for home in ("pyproject.toml", "bentoml"):
    os.environ["BENTOML_HOME"] = str(Path.cwd() / home)
    try:
        thresher(["rollback", "small", "--reason", "slow at night"], standalone_mode=False)
    except ThresherError as error:
        print(error)
    Path("bentofile.yaml").unlink(missing_ok=True)
"""


def test_where_the_bento_cannot_be_built_the_champion_stays(small: RegistryProject) -> None:
    small.crown(make_bundle(0.001), make_bundle(0.002))
    command = [sys.executable, "-c", WITHOUT_A_BENTO]
    done = subprocess.run(command, cwd=small.folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("BentoML's store cannot be written: ") and "BENTOML_HOME" in first
    assert second.startswith(f"{small.folder / 'bentofile.yaml'}: no such file; it says what a Bento holds. Fix: ")
    assert list((small.folder / "bentoml" / "models").glob("*/*/model.yaml")) == []  # it would be the newest champion
    assert small.aliases == {"champion": "2"}
