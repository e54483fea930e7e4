"""The real thing: store, build with BentoML's command line, serve with nothing but what the Bento names, call, end."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image
from tiny_bento import build, run, serve, store_bundle
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.packaging.bento import PackagingError, build_bento
from thresher.serving.core.bundle import Bundle, write_bundle

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.end_to_end

Store = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A BentoML home of its own, for a user who never heard of usage tracking; it would be logged, not sent."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("bentoml")
        patch.setenv("BENTOML_HOME", str(home))
        patch.setenv("__BENTOML_DEBUG_USAGE", "true")
        patch.delenv("BENTOML_DO_NOT_TRACK", raising=False)
        yield home


@pytest.fixture(scope="module")
def store(home: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Store:
    def store_one(**changes: Any) -> str:
        folder = tmp_path_factory.mktemp("bundle")
        write_bundle(folder, bundle.onnx_bytes, bundle.encoder, make_info(**changes))
        return store_bundle(folder)

    return store_one


@pytest.fixture(scope="module")
def bento(home: Path, store: Store) -> str:
    store(recipe="shapes")
    store(recipe="later")
    built = build("shapes")
    store(recipe="shapes", model_version="8")  # a Bento keeps the model it was built with
    return built


@pytest.fixture(scope="module")
def service(home: Path, bento: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The served Bento, where only the packages that the Bento pins can be imported, and thresher only from it."""
    folder = tmp_path_factory.mktemp("serve")
    with serve(bento, ImageEncoder.REQUIREMENTS, folder) as client:
        yield client
        port = client.base_url.port
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
    log_text = (folder / "log").read_text()
    assert log_text.count("Blocker works") >= 2  # BentoML's supervisor and its worker
    assert "Tracking" not in log_text


def test_bento_says_where_it_comes_from(home: Path, bento: str) -> None:
    name, version = bento.split(":")
    assert name == "shapes"
    folder = home / "bentos" / name / version
    info = yaml.safe_load((folder / "bento.yaml").read_text())
    assert info["labels"] == {
        "recipe": "shapes",
        "model_version": "7",
        "mlflow_run_id": "0123456789abcdef",
        "data_hash": "d" * 64,
        "git_commit": "c" * 40,
    }
    packed = {path.relative_to(folder / "src" / "thresher").parts[0] for path in folder.glob("src/thresher/**/*.py")}
    assert packed == {"__init__.py", "config.py", "errors.py", "kinds", "modalities", "serving"}
    assert "build-essential" not in (folder / "env" / "docker" / "Dockerfile").read_text()
    assert "half_int8" in (folder / "README.md").read_text()


def test_examples_of_the_openapi_document_work(service: httpx.Client) -> None:
    document = service.get("/docs.json").json()
    assert document["openapi"].startswith("3.1") and document["info"]["title"] == "shapes"
    paths = document["paths"]
    body = paths["/predict"]["post"]["requestBody"]["content"]
    assert {"application/json", "image/png", "image/jpeg", "multipart/form-data"} == body.keys()
    for example in body["application/json"]["examples"].values():
        assert service.post("/predict", json=example["value"]).status_code == 200
    infer = paths["/v2/models/shapes/infer"]["post"]["requestBody"]["content"]["application/json"]
    answer = service.post("/v2/models/shapes/infer", json=infer["example"]).json()
    assert [output["name"] for output in answer["outputs"]] == ["label", "probabilities"]


def test_predictions_are_those_of_onnx_runtime(service: httpx.Client, bundle: Bundle) -> None:
    images = np.random.default_rng(3).integers(0, 256, (40, 8, 6), np.uint8)
    expected = onnxruntime.InferenceSession(bundle.onnx_bytes).run(None, {"image": images[:, None]})[0]
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        files.append(("image", ("one.png", file.getvalue())))
    png = {"Content-Type": "image/png"}
    for response, rows in (
        (service.post("/predict", json={"images": images.tolist()}), expected),
        (service.post("/predict", files=files), expected),
        (service.post("/predict", json={"image": images[0].tolist()}), expected[:1]),
        (service.post("/predict", content=files[0][1][1], headers=png), expected[:1]),
    ):
        answer = response.json()
        assert (answer["model"], answer["model_version"]) == ("shapes", "7")
        given = [list(prediction["probabilities"].values()) for prediction in answer["predictions"]]
        np.testing.assert_allclose(given, rows, atol=1e-5)


def test_mistakes_are_4xx(service: httpx.Client) -> None:
    as_json = {"Content-Type": "application/json"}
    big = b" " * (33 * 2**20)
    for content, headers, status in (
        (b"{", as_json, 400),
        (b'{"imgae": 1}', as_json, 400),
        (b"[" * 100_000, as_json, 400),
        (b'{"image": [[1]]}', as_json, 422),
        (b'{"image": NaN}', as_json, 400),
        (b"x", {"Content-Type": "image/png"}, 422),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (big, as_json, 413),
    ):
        response = service.post("/predict", content=content, headers=headers)
        assert response.status_code == status, response.text
        assert response.json()["error"]
    assert service.get("/predict").status_code == 405


def test_health_metrics_and_page(service: httpx.Client) -> None:
    before = count_predictions(service)
    service.post("/predict", json={"images": [[[0] * 6] * 8] * 5})
    assert count_predictions(service) == before + 5
    metrics = service.get("/metrics").text
    assert 'thresher_request_seconds_bucket{le="0.02",model_version="7",protocol="rest",recipe="shapes"}' in metrics
    assert "bentoml_service_request_total" in metrics
    assert service.get("/livez").status_code == service.get("/readyz").status_code == 200
    assert service.get("/").json()["model"] == "shapes"


def count_predictions(service: httpx.Client) -> float:
    counts = re.findall(r"^thresher_predictions_total\{.*\} (\S+)$", service.get("/metrics").text, re.MULTILINE)
    return sum(map(float, counts))


def build_in_own_process(recipe: str) -> str:
    """Return the tag that `build_bento` gives; BentoML keeps the home that a process first saw."""
    code = "import sys; from pathlib import Path; from thresher.packaging.bento import build_bento;"
    return run("-c", f"{code} print(build_bento(sys.argv[1], Path()))", recipe, cwd=PROJECT).split()[-1]


def test_build_bento_builds_the_newest_of_its_recipe(bento: str, home: Path) -> None:
    name, version = build_in_own_process("shapes").split(":")
    labels = yaml.safe_load((home / "bentos" / name / version / "bento.yaml").read_text())["labels"]
    assert (name, labels["model_version"]) == ("shapes", "8")


def test_recipe_with_the_name_of_an_emoji_is_built(bento: str, home: Path, store: Store) -> None:
    store(recipe="fire")
    name, version = build_in_own_process("fire").split(":")
    assert name == "fire"
    assert (home / "bentos" / name / version / "bento.yaml").exists()


def test_build_without_arguments_takes_the_newest_of_all(bento: str, store: Store) -> None:
    store(recipe="Newest")
    built = run("-m", "bentoml", "build", "--output", "tag", cwd=PROJECT)
    assert built.startswith("__tag__:newest:")


def test_unknown_recipe_names_the_nearest(bento: str) -> None:
    with pytest.raises(PackagingError, match=r"No champion of recipe 'shape' .* Did you mean 'shapes'"):
        build_bento("shape", PROJECT)


def test_recipe_that_cannot_be_a_tag_is_refused(store: Store) -> None:
    with pytest.raises(AssertionError, match=r"PackagingError: Recipe 'ends_': .* Rename the recipe\."):
        store(recipe="ends_")
