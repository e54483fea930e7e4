"""The Open Inference Protocol, version 2: one reading of tensors for REST and gRPC."""
