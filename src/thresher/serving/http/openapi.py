"""What the service's OpenAPI document says of our routes; its examples are requests that work as they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.datatypes import NAMES
from thresher.serving.core.example import sample_of
from thresher.serving.http.content_types import JSON, MULTIPART
from thresher.serving.http.explain_routes import TARGET

VERSION = "3.1.0"
"""Of OpenAPI: the first whose schemas are those of JSON Schema, which has a word for `null`."""
TYPED, INFERENCE = "Typed REST", "Open Inference Protocol"
REFUSALS = {
    "400": "not a request of this route: no JSON, an unknown name, a wrong number of samples",
    "408": "the request took too long to arrive",
    "413": "too many bytes or samples",
    "415": "another content type than those that are allowed",
    "422": "a sample of a wrong shape, type or range, with what was expected",
    "503": "too much waits already: try again after the seconds in Retry-After",
    "504": "the time was up before the request's turn came",
}
"""Status -> what for."""
REFUSED_TENSORS = ("400", "408", "413", "503", "504")
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
ANSWERED = {"model": TEXT, "model_version": TEXT, "request_id": TEXT}

Schema = dict[str, Any]


def describe_routes(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Return the path items, as OpenAPI 3.1 has them, of the routes that predict, explain and describe the model."""
    encoder, sample = bundle.encoder, sample_of(bundle)
    model = f"/v2/models/{bundle.info.recipe}"
    explained = {**ANSWERED, "method": TEXT, "input": TEXT, "num_copies": WHOLE}
    target = {"name": TARGET, "in": "query", "description": "another class than the predicted", "schema": TEXT}
    return {
        "/": {"get": _get(TYPED, "What is served, with a command that works when pasted")},
        "/predict": {
            "post": {
                **_operation(TYPED, "Predict", f"One sample or several. Each is {encoder.expected}."),
                "requestBody": _body(encoder, sample),
                "responses": _responses(_predictions(encoder)),
            }
        },
        "/explain": {
            "post": {
                **_operation(TYPED, "Which parts of a sample mattered", "One sample, sent as to /predict."),
                "parameters": [target] if encoder.class_names else [],
                "requestBody": _body(encoder, sample),
                "responses": _responses({"type": "object", "required": [*explained], "properties": explained}),
            }
        },
        "/v2": {"get": _get(INFERENCE, "Name, version and extensions of the server")},
        "/v2/health/live": {"get": _get(INFERENCE, "Whether the server is alive", has_body=False)},
        "/v2/health/ready": {"get": _get(INFERENCE, "Whether the model answers", has_body=False)},
        model: {"get": _get(INFERENCE, "The model's tensors")},
        f"{model}/ready": {"get": _get(INFERENCE, "Whether the model is served here", has_body=False)},
        f"{model}/infer": {
            "post": {
                **_operation(INFERENCE, "Infer", "Tensors in JSON; in binary with Inference-Header-Content-Length."),
                "requestBody": _content(JSON, _inference(), _inference_example(encoder, sample)),
                "responses": _responses({"type": "object", "required": ["model_name", "outputs"]}, REFUSED_TENSORS),
            }
        },
    }


def _operation(tag: str, summary: str, description: str = "") -> dict[str, Any]:
    return {"tags": [tag], "summary": summary, **({"description": description} if description else {})}


def _get(tag: str, summary: str, has_body: bool = True) -> dict[str, Any]:
    content = {"content": {JSON: {"schema": {"type": "object"}}}} if has_body else {}
    return {**_operation(tag, summary), "responses": {"200": {"description": summary, **content}}}


def _content(kind: str, schema: Schema, example: Any) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema, "example": example}}}


def _body(encoder: Encoder, sample: Any) -> dict[str, Any]:
    """Return the ways in which a sample is sent."""
    one, many = encoder.NAMES
    schema = encoder.json_schema()
    several = {"type": "array", "minItems": 1, "items": schema}
    either = [_only(one, schema), _only(many, several)]
    content: dict[str, Any] = {
        JSON: {
            "schema": {"oneOf": either},
            "examples": {one: {"value": {one: sample}}, many: {"value": {many: [sample] * 2}}},
        }
    }
    for kind in encoder.file_types:
        content[kind] = {"schema": TEXT if kind.startswith("text/") else {"type": "string", "format": "binary"}}
    if encoder.file_types:
        files = {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}
        content[MULTIPART] = {"schema": files}
    return {"required": True, "content": content}


def _only(name: str, schema: Schema) -> Schema:
    return {"type": "object", "required": [name], "properties": {name: schema}, "additionalProperties": False}


def _list(items: Schema, length: int | None = None) -> Schema:
    exactly = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **exactly}


def _predictions(encoder: Encoder) -> Schema:
    names = encoder.class_names
    said: dict[str, Any] = {"value": NUMBER}
    if names:
        chances = {"type": "object", "required": [*names], "additionalProperties": NUMBER}
        said = {"label": {"enum": [*names]}, "class_index": WHOLE, "probabilities": chances}
    one = {"type": "object", "required": [*said], "properties": said}
    properties = {"predictions": {"type": "array", "items": one}, **ANSWERED}
    return {"type": "object", "required": [*properties], "properties": properties}


def _responses(answer: Schema, refused: Iterable[str] = REFUSALS) -> dict[str, Any]:
    error = {"content": {JSON: {"schema": ERROR}}}
    refusals = {status: {"description": REFUSALS[status], **error} for status in refused}
    return {"200": {"description": "The answer", "content": {JSON: {"schema": answer}}}, **refusals}


def _inference() -> Schema:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {"name": TEXT, "datatype": TEXT, "shape": _list(WHOLE), "data": {"type": "array"}},
    }
    properties = {"id": TEXT, "inputs": _list(tensor, 1), "outputs": {"type": "array", "items": {"type": "object"}}}
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _inference_example(encoder: Encoder, sample: Any) -> dict[str, Any]:
    """Return a request with one sample, encoded; of an image its pixels."""
    model_input = encoder.model_input
    encoded = encoder.encode_json(sample)
    tensor = {
        "name": model_input.name,
        "datatype": NAMES[model_input.dtype],
        "shape": list(encoded.shape),
        "data": encoded.reshape(-1).tolist(),
    }
    outputs = [{"name": "label"}, {"name": "probabilities"}] if encoder.class_names else [{"name": "value"}]
    return {"id": "first", "inputs": [tensor], "outputs": outputs}
