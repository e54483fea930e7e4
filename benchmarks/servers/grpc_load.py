"""Load over gRPC: so many calls at a time, so many seconds; prints calls a second, p50 and p99 in ms, failures."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc


def make_request(model: str) -> service_pb2.ModelInferRequest:
    """Return a call with one image."""
    request = service_pb2.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name="image", datatype="UINT8")
    tensor.shape.extend([1, 1, 28, 28])
    request.raw_input_contents.append(bytes([7]) * 784)
    return request


async def main() -> None:
    """Call, then print."""
    address, model, concurrency, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    request = make_request(model)
    # Several connections, so that several worker processes get some of them.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(min(concurrency, 8))]
    stubs = [service_pb2_grpc.GRPCInferenceServiceStub(channel) for channel in channels]
    for stub in stubs:
        await stub.ModelInfer(request)
    latencies: list[float] = []
    failures = 0
    end = time.perf_counter() + seconds

    async def call(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
        nonlocal failures
        while (start := time.perf_counter()) < end:
            try:
                await stub.ModelInfer(request)
                latencies.append(time.perf_counter() - start)
            except grpc.aio.AioRpcError:
                failures += 1

    start = time.perf_counter()
    await asyncio.gather(*(call(stubs[index % len(stubs)]) for index in range(concurrency)))
    took = time.perf_counter() - start
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000
    print(json.dumps({"rate": len(latencies) / took, "p50": p50, "p99": p99, "failures": failures}))


if __name__ == "__main__":
    asyncio.run(main())
