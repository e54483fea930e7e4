"""A pretrained encoder of images, trained by nobody, in a Bento that has neither torch nor transformers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import numpy as np
import onnxruntime
import pytest
from helpers.pretrained_images import write_image_folder
from PIL import Image
from tiny_bento import build, serve, store_bundle
from tiny_service import make_info

from thresher.export import export_onnx
from thresher.modalities import read_pretrained
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import read_folder
from thresher.models.start import build_start
from thresher.serving.core.bundle import Bundle, write_bundle

pytestmark = pytest.mark.end_to_end

CLASSES = ("cat", "dog", "owl")


class Served(NamedTuple):
    client: httpx.Client
    bundle: Bundle
    encoder: ImageEncoder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pretrained_images")
    read = read_folder(write_image_folder(folder / "model", "resnet"), True)
    raw = Samples(np.zeros((3, 3, 20, 30), np.uint8), np.arange(3), CLASSES)
    encoder = read_pretrained(read.files, read.name, ImageEncoding(), raw)
    assert isinstance(encoder, ImageEncoder)
    network = build_start(Pretrained(path="anywhere"), encoder.model_input, ClassOutput(num_classes=3), 1, read)
    bundle = Bundle(export_onnx(network.eval()), encoder, make_info(recipe="pets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        write_bundle(folder / "bundle", bundle.onnx_bytes, encoder, bundle.info)
        store_bundle(folder / "bundle")
        with serve(build("pets"), encoder.REQUIREMENTS, folder) as client:
            yield Served(client, bundle, encoder)


def picture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3))
    return noise.astype(np.uint8)


def written(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def answers(served: Served, encoded: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(served.bundle.onnx_bytes, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": encoded})[0])


def given(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.array([list(each["probabilities"].values()) for each in response.json()["predictions"]])


@pytest.mark.parametrize(("kind", "size"), [("JPEG", (480, 640)), ("PNG", (1, 1)), ("PNG", (333, 40))])
def test_real_pictures_of_any_size(served: Served, kind: str, size: tuple[int, int]) -> None:
    content = written(picture(*size), kind)
    expected = answers(served, served.encoder.encode_file(content))
    sent = served.client.post("/predict", content=content, headers={"Content-Type": f"image/{kind.lower()}"})
    np.testing.assert_allclose(given(sent), expected, atol=1e-5)


def test_pictures_in_json_and_many_at_once(served: Served) -> None:
    pictures = np.stack([picture(20, 30), picture(20, 30)[::-1]])
    expected = answers(served, served.encoder.encode(pictures.transpose(0, 3, 1, 2)))
    assert not np.allclose(expected[0], expected[1], atol=1e-6)
    one = served.client.post("/predict", json={"image": pictures[1].tolist()})
    np.testing.assert_allclose(given(one), expected[1:], atol=1e-5)
    np.testing.assert_allclose(
        given(served.client.post("/predict", json={"images": pictures.tolist()})), expected, atol=1e-5
    )


def test_the_open_inference_protocol_takes_what_the_network_takes(served: Served) -> None:
    encoded = served.encoder.encode(picture(20, 30).transpose(2, 0, 1)[None])
    assert encoded.shape == (1, 3, 32, 32)
    document = {"name": "image", "datatype": "UINT8", "shape": list(encoded.shape), "data": encoded.ravel().tolist()}
    response = served.client.post("/v2/models/pets/infer", json={"inputs": [document]})
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(response.json()["outputs"][0]["data"], answers(served, encoded)[0], atol=1e-5)


def test_what_mattered_of_a_picture_is_told_in_the_networks_pixels(served: Served) -> None:
    content = written(picture(60, 50), "PNG")
    told = served.client.post("/explain", content=content, headers={"Content-Type": "image/png"}).json()
    assert told["size"] == [32, 32]
    assert np.array(told["importance"]).shape == (11, 11) and told["cell"] == [3, 3]


def test_a_picture_that_cannot_be_read_is_refused_with_what_is_taken(served: Served) -> None:
    response = served.client.post("/predict", content=b"GIF89a", headers={"Content-Type": "image/png"})
    assert response.status_code == 422 and "a file of any size" in response.text
