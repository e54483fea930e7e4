"""The protocol's messages, of the descriptors that `make proto` compiles `open_inference_grpc.proto` to.

No compiler is needed where this is installed; a test holds both files to each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PROTO = Path(__file__).with_name("open_inference_grpc.proto")
"""What clients in other languages are generated from."""
DESCRIPTORS = PROTO.with_suffix(".binpb")

POOL = DescriptorPool()
"""An own one: in the default pool the same messages of a client in this process would be in the way."""
(_FILE,) = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
POOL.Add(_FILE)

SERVICE = f"{_FILE.package}.{_FILE.service[0].name}"
_METHODS = POOL.FindServiceByName(SERVICE).methods

REQUESTS: dict[str, Any] = {method.name: GetMessageClass(method.input_type) for method in _METHODS}
RESPONSES: dict[str, Any] = {method.name: GetMessageClass(method.output_type) for method in _METHODS}
"""Method -> the class of its response."""
