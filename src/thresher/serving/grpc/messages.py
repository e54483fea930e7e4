"""The protocol's messages, made at import: no generated files, and no compiler where this is installed."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
"""Each takes a message `<METHOD>Request` and answers `<METHOD>Response`."""

MESSAGES: dict[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready",),
    "ModelReadyRequest": ("string name", "string version"),
    "ModelReadyResponse": ("bool ready",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name", "string version", "repeated string extensions"),
    "ModelMetadataRequest": ("string name", "string version"),
    "ModelMetadataResponse": (
        "string name",
        "repeated string versions",
        "string platform",
        "repeated ModelMetadataResponse.TensorMetadata inputs",
        "repeated ModelMetadataResponse.TensorMetadata outputs",
    ),
    "ModelMetadataResponse.TensorMetadata": ("string name", "string datatype", "repeated int64 shape"),
    "ModelInferRequest": (
        "string model_name",
        "string model_version",
        "string id",
        "map InferParameter parameters",
        "repeated ModelInferRequest.InferInputTensor inputs",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs",
        "repeated bytes raw_input_contents",
    ),
    "ModelInferRequest.InferInputTensor": (
        "string name",
        "string datatype",
        "repeated int64 shape",
        "map InferParameter parameters",
        "InferTensorContents contents",
    ),
    "ModelInferRequest.InferRequestedOutputTensor": ("string name", "map InferParameter parameters"),
    "ModelInferResponse": (
        "string model_name",
        "string model_version",
        "string id",
        "map InferParameter parameters",
        "repeated ModelInferResponse.InferOutputTensor outputs",
        "repeated bytes raw_output_contents",
    ),
    "ModelInferResponse.InferOutputTensor": (
        "string name",
        "string datatype",
        "repeated int64 shape",
        "map InferParameter parameters",
        "InferTensorContents contents",
    ),
    "InferParameter": (
        "oneof bool bool_param",
        "oneof int64 int64_param",
        "oneof string string_param",
        "oneof double double_param",
        "oneof uint64 uint64_param",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents",
        "repeated int32 int_contents",
        "repeated int64 int64_contents",
        "repeated uint32 uint_contents",
        "repeated uint64 uint64_contents",
        "repeated float fp32_contents",
        "repeated double fp64_contents",
        "repeated bytes bytes_contents",
    ),
}
"""Of https://github.com/kserve/open-inference-protocol: the fields of each message, numbered from 1 in their order.

`map` is from a string to the type; all fields with `oneof` are one choice; a dot comes before a nested message.
"""
ONEOF = "parameter_choice"


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="open_inference_grpc.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    for full_name, fields in MESSAGES.items():
        parent, _, name = full_name.rpartition(".")
        message = made[full_name] = made[parent].nested_type.add() if parent else file.message_type.add()
        message.name = name
        for number, field in enumerate(fields, start=1):
            _add_field(message, full_name, number, *field.split())
    service = file.service.add(name=SERVICE.removeprefix(f"{PACKAGE}."))
    for method in METHODS:
        taken, given = f".{PACKAGE}.{method}Request", f".{PACKAGE}.{method}Response"
        service.method.add(name=method, input_type=taken, output_type=given)
    return file


def _add_field(message: DescriptorProto, message_name: str, number: int, *words: str) -> None:
    *labels, kind, name = words
    field = message.field.add(name=name, number=number)
    is_repeated = labels in (["repeated"], ["map"])
    field.label = FieldDescriptorProto.LABEL_REPEATED if is_repeated else FieldDescriptorProto.LABEL_OPTIONAL
    if labels == ["map"]:
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "", 1, "string", "key")
        _add_field(entry, "", 2, kind, "value")
        kind = f"{message_name}.{entry.name}"
    elif labels == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name=ONEOF)
        field.oneof_index = 0
    if kind[0].isupper():
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


POOL = DescriptorPool()
"""An own one: in the default pool the same messages of a client in this process would be in the way."""
POOL.AddSerializedFile(_file().SerializeToString())


def _message(name: str) -> Any:
    return GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


REQUESTS: dict[str, Any] = {method: _message(f"{method}Request") for method in METHODS}
RESPONSES: dict[str, Any] = {method: _message(f"{method}Response") for method in METHODS}
"""By method, the class of the message."""
