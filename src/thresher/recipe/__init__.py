"""The recipe: one file in pipelines/, one Kedro pipeline. Composes the sections; rules.py has what crosses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from thresher.compression.candidate import Candidate
from thresher.config import Config
from thresher.contracts.expectation import Contract
from thresher.evaluation import Measurement
from thresher.evaluation.corruptions import Corruption
from thresher.evaluation.decision import Decision
from thresher.evaluation.selection import Selection
from thresher.kinds.field import NameOf
from thresher.kinds.record import ModalityKind
from thresher.kinds.registry import registry
from thresher.modalities import AnyEncoding
from thresher.models import AnyModel, is_network
from thresher.serving.options import Serving
from thresher.training import Training

RESERVED_NAMES = ("every_recipe", "run")
"""They mean something else where overlays name recipes."""
PRETRAINED = "pretrained"
"""The kind of a pretrained model, and the tokenizer that its recipe takes."""
GRAPHS = ("onnx", "exported")
"""The kinds of models that are graphs, whose recipes may name a tokenizer."""
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class Data(Config):
    """Which samples, and what must hold of them before anything is trained."""

    modality: Annotated[str, NameOf(ModalityKind, "name")]
    encoding: AnyEncoding
    """How raw samples become tensors; the modality's own defaults where it is not given."""
    train: str
    """Catalog entry with the training samples."""
    test: str
    """Catalog entry with the test samples; the verdict alone reads them."""
    tests: dict[Name, str] = Field(default_factory=dict)
    """Further test sets: name -> catalog entry. Each is judged apart, and together with `test` as `pooled`."""
    corruptions: dict[Name, Corruption] = Field(default_factory=dict)
    """Test sets that are made of `test`: name -> what is done to its raw samples. Each is judged apart."""
    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training samples, of each class alike, that judges epochs and is not learned from."""
    contract: Contract = Field(default_factory=list)
    """Great Expectations by their own names, besides those that are built in."""

    @property
    def test_sets(self) -> tuple[str, ...]:
        """The names of the test sets besides `test`."""
        return (*self.tests, *self.corruptions)

    @model_validator(mode="before")
    @classmethod
    def _encode_by_modality(cls, values: Any) -> Any:
        """Fill in `encoding.kind`: it is always the modality, and nobody should have to write it twice."""
        if not isinstance(values, dict) or not isinstance(values.get("encoding", {}), dict):
            return values
        known = registry().names(ModalityKind.group)
        if values.get("modality") not in known:
            return {**values, "encoding": {"kind": known[0]}}  # one problem is enough
        return {**values, "encoding": {"kind": values["modality"], **values.get("encoding", {})}}

    @model_validator(mode="after")
    def _encodes_by_modality(self) -> Data:
        if self.encoding.kind != self.modality:
            raise ValueError(f"encoding.kind {self.encoding.kind} is not the modality {self.modality}; leave it out")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema in which the encoding may be left out, and its kind as well."""
        schema = handler(core_schema)
        data = handler.resolve_ref_schema(schema)
        data["required"].remove("encoding")
        encoding = data["properties"]["encoding"]
        encoding.pop("discriminator")
        encoding["anyOf"] = encoding.pop("oneOf")
        return schema


class Recipe(Config):
    """Everything that a run is, as data."""

    description: str = ""
    task: Literal["classification", "regression"]
    data: Data
    model: AnyModel
    training: Training = Field(default_factory=Training)
    candidates: dict[Name, Candidate] = Field(default_factory=dict)
    """Name -> chain. The unpruned float model is always a candidate, named "float"."""
    calibrate: Literal["temperature"] | None = None
    """temperature: divide each candidate's logits by the number with the least log loss on the validation split, inside
    of its ONNX file (Guo et al. 2017). It is the last thing that is done to a candidate; what comes of it is judged and
    served."""
    decision: Decision | None = None
    """By which threshold one class is the answer, after calibration; without one the likeliest class is."""
    reference: Literal["auto", "none"] = "auto"
    """auto: boosted trees of the same split stand beside the float network of a table in the report, and take no part
    in the verdict. none: leave them out."""
    evaluation: Measurement = Field(default_factory=Measurement)
    selection: Selection = Field(default_factory=Selection)
    serving: Serving = Field(default_factory=Serving)

    @property
    def has_reference(self) -> bool:
        """Whether trees stand beside the float model: by their likeliest class, so that a threshold leaves them out."""
        return (
            self.reference == "auto"
            and self.data.modality == "tabular"
            and is_network(self.model)
            and self.decision is None
        )

    @property
    def measured_metrics(self) -> tuple[str, ...]:
        """The metrics of quality that are computed of every candidate: those that any section names.

        Of the class that a threshold decides, precision and recall, and what errors cost where the recipe says it.
        """
        decided = self.decision.metrics if self.decision else ()
        return tuple(dict.fromkeys((*self.evaluation.metrics, *self.selection.computed_metrics, *decided)))

    @model_validator(mode="before")
    @classmethod
    def _encode_by_model(cls, values: Any) -> Any:
        """Fill in `data.encoding.tokenizer`: a pretrained model of texts always brings its own, and a graph may."""
        if not isinstance(values, dict) or not brings_encoder(values) or not isinstance(values.get("data"), dict):
            return values
        encoding = values["data"].get("encoding", {})
        if values["data"].get("modality") != "text" or not isinstance(encoding, dict):
            return values
        return {**values, "data": {**values["data"], "encoding": {"tokenizer": PRETRAINED, **encoding}}}


def brings_encoder(values: Mapping[str, Any]) -> bool:
    """Return whether the raw recipe ``values`` takes a pretrained model, or a graph with a tokenizer of its own."""
    model = values.get("model")
    if not isinstance(model, dict):
        return False
    return model.get("kind") == PRETRAINED or (model.get("kind") in GRAPHS and model.get("tokenizer") is not None)


def is_valid_name(name: str) -> bool:
    """Return whether ``name`` can name a recipe: Kedro, MLflow and BentoML all take it."""
    return re.fullmatch(NAME_PATTERN, name) is not None and name not in RESERVED_NAMES


def dump(recipe: Recipe) -> dict[str, Any]:
    """Return ``recipe`` as plain data with every default written out; reading it again gives the same recipe."""
    return recipe.model_dump(mode="json", by_alias=True)
