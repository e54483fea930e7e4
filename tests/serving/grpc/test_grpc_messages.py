"""The messages made at import are those of the official protocol, which tritonclient's generated ones stand for."""

from __future__ import annotations

import subprocess
import sys

from google.protobuf.descriptor import Descriptor
from tritonclient.grpc import service_pb2 as triton

from thresher.serving.grpc.messages import MESSAGES, METHODS, PACKAGE, POOL, SERVICE

OURS = POOL.FindFileContainingSymbol(SERVICE)


def fields_of(message: Descriptor) -> list[tuple[object, ...]]:
    return sorted(
        (
            field.number,
            field.name,
            field.type,
            field.is_repeated,
            field.has_presence,
            field.message_type and field.message_type.full_name,
            field.containing_oneof and field.containing_oneof.name,
        )
        for field in message.fields
    )


def test_every_message_has_the_fields_of_tritonclient() -> None:
    for name in MESSAGES:
        ours = POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")
        theirs = triton.DESCRIPTOR.pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        assert fields_of(ours) == fields_of(theirs), name
        maps = [nested.name for nested in ours.nested_types if nested.GetOptions().map_entry]
        assert maps == [nested.name for nested in theirs.nested_types if nested.GetOptions().map_entry], name
        for entry in maps:
            assert fields_of(ours.nested_types_by_name[entry]) == fields_of(theirs.nested_types_by_name[entry])


def test_every_method_takes_and_answers_what_tritonclient_s_does() -> None:
    ours = OURS.services_by_name["GRPCInferenceService"]
    theirs = triton.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert [method.name for method in ours.methods] == list(METHODS)
    for method in ours.methods:
        other = theirs.methods_by_name[method.name]
        assert method.input_type.full_name == other.input_type.full_name
        assert method.output_type.full_name == other.output_type.full_name
        assert not method.client_streaming and not method.server_streaming


def test_the_own_pool_lets_tritonclient_be() -> None:
    assert POOL is not triton.DESCRIPTOR.pool
    assert OURS.name != triton.DESCRIPTOR.name


def test_serving_over_grpc_imports_nothing_heavy() -> None:
    heavy = {"torch", "kedro", "mlflow", "onnx", "pandas", "sklearn", "tritonclient", "bentoml"}
    code = f"import sys, thresher.serving.grpc.server; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
