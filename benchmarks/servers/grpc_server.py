"""A plain grpc.aio server without a batcher: the protocol's messages, ONNX Runtime called for each request."""

from __future__ import annotations

import asyncio
import sys

import grpc
import numpy as np
from in_process import open_model
from tritonclient.grpc import service_pb2, service_pb2_grpc

session, name = open_model(sys.argv[1])


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers ModelInfer."""

    async def ModelInfer(  # noqa: N802
        self, request: service_pb2.ModelInferRequest, context: object
    ) -> object:
        """Answer raw tensors with raw tensors."""
        pixels = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(1, 1, 28, 28)
        probabilities = session.run(None, {name: pixels})[0]
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        output = answer.outputs.add(name="probabilities", datatype="FP32")
        output.shape.extend(probabilities.shape)
        answer.raw_output_contents.append(probabilities.tobytes())
        return answer


async def main() -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
