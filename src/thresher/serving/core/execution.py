"""How a session computes, as one text: an execution provider, and keys of ONNX Runtime's configuration of a session."""

from __future__ import annotations

CPU = "CPUExecutionProvider"


def read_execution(text: str) -> tuple[str, dict[str, str]]:
    """Return the provider and the entries that ``text`` writes: PROVIDER, or PROVIDER,KEY=VALUE,...

    Raises:
        ValueError: it writes none.
    """
    provider, *pairs = text.split(",")
    if not provider.endswith("ExecutionProvider") or any("=" not in pair or pair.startswith("=") for pair in pairs):
        fix = "a provider of ONNX Runtime, and keys of its session's configuration, as in"
        raise ValueError(f"'{text}' is no setting. Fix: {fix} {CPU},session.intra_op.allow_spinning=0.")
    return provider, dict(pair.partition("=")[::2] for pair in pairs)
