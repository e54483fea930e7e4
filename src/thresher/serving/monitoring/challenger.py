"""The challenger's bundle: a folder within the champion's, so that one model in BentoML's store carries both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from thresher.config import Config
from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import Bundle, BundleError, read_bundle, write_bundle
from thresher.serving.options import ShadowOptions

FOLDER, SHARE_FILE = "challenger", "share.json"


class _Share(Config):
    """The content of SHARE_FILE."""

    share: float = Field(gt=0, le=1)


@dataclass(frozen=True)
class Challenger:
    """A second registered version, which gets some of the champion's samples."""

    bundle: Bundle
    share: float
    """The share of the champion's samples that it gets, above 0, at most 1."""


def write_challenger(folder: Path, challenger: Challenger) -> None:
    """Write ``challenger`` into the champion's ``folder``."""
    bundle = challenger.bundle
    write_bundle(folder / FOLDER, bundle.onnx_bytes, bundle.encoder, bundle.info, bundle.attachments)
    (folder / FOLDER / SHARE_FILE).write_text(_Share(share=challenger.share).model_dump_json() + "\n")


def read_challenger(folder: Path) -> Challenger | None:
    """Return the challenger in the champion's ``folder``; None without one.

    Raises:
        BundleError: a file of it is missing, empty or not what it should be.
    """
    if not (folder / FOLDER).is_dir():
        return None
    place = folder / FOLDER / SHARE_FILE
    try:
        share = TypeAdapter(_Share).validate_json(place.read_bytes()).share
    except (OSError, ValidationError) as error:
        raise BundleError(f"{place} cannot be read: {error}. Package the model again.") from error
    return Challenger(read_bundle(folder / FOLDER), share)


def choose_challenger(
    champion: Bundle, challenger: Bundle | None, options: ShadowOptions
) -> tuple[Challenger | None, str]:
    """Return the challenger to pack with ``champion``, None where there can be none, and a sentence for the user.

    A challenger never stands in the way of the champion: without one, the Bento is built all the same.
    """
    if challenger is None:
        what = "version has this alias" if options.version == "challenger" else "such version is registered"
        return None, f"serving.shadow.version {options.version}: no {what}. The Bento has no challenger."
    number = f"version {challenger.info.model_version}"
    if reason := why_unfit(champion, challenger):
        return None, f"serving.shadow: {number} cannot be the challenger: {reason}. The Bento has none."
    return Challenger(challenger, options.share), f"The challenger, {number}, sees {options.share:.1%} of the samples."


def why_unfit(champion: Bundle, challenger: Bundle) -> str:
    """Return why ``challenger`` cannot be compared with ``champion``; empty where it can.

    The samples are encoded once, for the champion: both must be given the very same tensor for the same raw input,
    and answer in the same places.
    """
    ours, theirs = champion.encoder, challenger.encoder
    if champion.info.model_version == challenger.info.model_version:
        return "it is the champion itself"
    if ours.task != theirs.task:
        return f"it does a {theirs.task}, the champion a {ours.task}"
    if ours.class_names != theirs.class_names:
        return "it has other classes, or in another order"
    mine, other = _deciding(ours), _deciding(theirs)
    differing = sorted(key for key in {*mine, *other} if mine.get(key) != other.get(key))
    if differing:
        return f"its encoder was fitted on other data and makes other samples of the same input: {', '.join(differing)}"
    return ""


def _deciding(encoder: Encoder) -> Mapping[str, Any]:
    """Return the fields of ``encoder`` that decide what `encode` gives."""
    values = encoder.model_dump(mode="json")
    return {key: value for key, value in values.items() if key not in encoder.NOT_ENCODED}
