"""The messages are those of the .proto, and the .proto is the protocol, for which tritonclient's own stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor
from grpc_tools import protoc
from tritonclient.grpc import service_pb2 as triton

from thresher.serving.grpc.messages import DESCRIPTORS, POOL, PROTO, SERVICE

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


def test_the_descriptors_are_compiled_from_the_proto(tmp_path: Path) -> None:
    made = tmp_path / DESCRIPTORS.name
    assert protoc.main(["protoc", f"-I{PROTO.parent}", f"--descriptor_set_out={made}", PROTO.name]) == 0
    assert made.read_bytes() == DESCRIPTORS.read_bytes(), "run 'make proto'"


def check_message(ours: Descriptor, theirs: Descriptor) -> None:
    assert fields_of(ours) == fields_of(theirs), ours.full_name
    for name, nested in ours.nested_types_by_name.items():
        assert nested.GetOptions().map_entry == theirs.nested_types_by_name[name].GetOptions().map_entry
        check_message(nested, theirs.nested_types_by_name[name])


def test_every_message_has_the_fields_of_tritonclient() -> None:
    assert len(OURS.message_types_by_name) == 14
    for name, ours in OURS.message_types_by_name.items():
        check_message(ours, triton.DESCRIPTOR.pool.FindMessageTypeByName(f"inference.{name}"))


def test_a_client_is_generated_from_the_proto(tmp_path: Path) -> None:
    outs = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    assert protoc.main(["protoc", f"-I{PROTO.parent}", *outs, PROTO.name]) == 0
    code = "import open_inference_grpc_pb2_grpc as made; print(made.GRPCInferenceServiceStub.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "GRPCInferenceServiceStub"


def test_every_method_takes_and_answers_what_tritonclient_s_does() -> None:
    ours = OURS.services_by_name["GRPCInferenceService"]
    theirs = triton.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert len(ours.methods) == 6
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
