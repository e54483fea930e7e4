"""A bundle comes back as it was written, and a damaged one says what is wrong."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.any_modality import make_encoder

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, BundleError, has_content, hash_content, read_bundle, write_bundle
from thresher.serving.core.session import open_session


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", bundle.onnx_bytes, bundle.encoder, bundle.info)
    return tmp_path / "bundle"


def test_round_trip(bundle: Bundle, folder: Path) -> None:
    assert read_bundle(folder) == bundle


def test_attachments_come_back_and_other_files_are_none(bundle: Bundle, tmp_path: Path) -> None:
    attachments = {"card.md": "# Größe\n".encode(), "verdict.json": b"{}"}
    write_bundle(tmp_path / "bundle", bundle.onnx_bytes, bundle.encoder, bundle.info, attachments)
    (tmp_path / "bundle" / "model.yaml").write_text("what BentoML puts there")
    assert read_bundle(tmp_path / "bundle") == replace(bundle, attachments=attachments)


@pytest.mark.parametrize("name", ["model.onnx", "encoder.json", "model.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["model.onnx", "encoder.json", "model.json"])
def test_empty_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(BundleError, match=f"{name} is empty"):
        read_bundle(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"modality": "image"}', "\x00"])
def test_damaged_json_is_named(folder: Path, text: str) -> None:
    (folder / "encoder.json").write_text(text)
    with pytest.raises(BundleError, match=r"encoder\.json is damaged"):
        read_bundle(folder)


@pytest.mark.oddity("Runs", "a file of a packed model is altered in BentoML's store", "it is refused by name")
@pytest.mark.parametrize("name", ["model.onnx", "encoder.json", "model.json", "card.md"])
def test_a_file_that_was_altered_is_named_with_both_hashes(bundle: Bundle, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    write_bundle(folder, bundle.onnx_bytes, bundle.encoder, bundle.info, {"card.md": b"# A card"})
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b"\n")
    with pytest.raises(BundleError, match=rf"{name} was altered since .*SHA-256 is \w{{64}}, and was \w{{64}}\. Fix"):
        read_bundle(folder)
    (folder / "SHA256SUMS").unlink()  # as before there were any
    (folder / name).write_bytes(content)
    assert read_bundle(folder).info == bundle.info


def test_an_encoder_of_before_its_class_had_another_field_is_still_itself(bundle: Bundle) -> None:
    document = json.loads(bundle.encoder.model_dump_json())
    first = next(name for name, field in type(bundle.encoder).model_fields.items() if not field.is_required())
    del document[first]
    before = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    content = hashlib.sha256(bundle.onnx_bytes + before.encode()).hexdigest()
    encoder = type(bundle.encoder).model_validate_json(before)
    assert has_content(content, bundle.onnx_bytes, encoder)
    assert has_content(hash_content(bundle.onnx_bytes, encoder), bundle.onnx_bytes, encoder)
    assert not has_content(content, bundle.onnx_bytes + b" ", encoder)


def test_session_answers_probabilities(bundle: Bundle) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 1, 8, 6), np.uint8)
    probabilities = open_session(bundle).run(images)
    assert probabilities.shape == (5, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_damaged_model_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"cannot run model\.onnx"):
        open_session(replace(bundle, onnx_bytes=bundle.onnx_bytes[:-50]))


def test_model_for_other_images_is_refused(bundle: Bundle) -> None:
    encoder = ImageEncoder(
        channels=1, mean=(0.0,), std=(1.0,), height=9, width=9, class_names=bundle.encoder.class_names
    )
    with pytest.raises(BundleError, match=r"cannot run model\.onnx"):
        open_session(replace(bundle, encoder=encoder))


def test_model_for_other_classes_is_refused(bundle: Bundle) -> None:
    encoder = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=6, class_names=("a", "b"))
    with pytest.raises(BundleError, match=r"3.*for 2 classes"):
        open_session(replace(bundle, encoder=encoder))


def test_encoder_that_cannot_encode_is_refused(bundle: Bundle) -> None:
    encoder = make_encoder("text").model_copy(update={"tokenizer": "{}"})
    with pytest.raises(BundleError, match=r"The encoder in encoder\.json cannot be used"):
        open_session(replace(bundle, encoder=encoder))


def test_what_a_champion_was_registered_as_stays_its_hash() -> None:
    """The hash is of the encoder's text: another order of its fields would call every champion of before altered."""
    encoder = ImageEncoder(channels=1, mean=(0.5,), std=(2.0,), height=2, width=3, class_names=("a", "b"))
    text = (
        '{"class_names":["a","b"],"kind":"image","channels":1,"height":2,"width":3,"mean":[0.5],"std":[2.0],'
        '"background":null}'
    )
    assert hash_content(b"model", encoder) == hashlib.sha256(b"model" + text.encode()).hexdigest()
