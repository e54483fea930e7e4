"""Which integer range is safe on this processor."""

from __future__ import annotations

import platform

from thresher.machine import VNNI_FLAGS, processor_flags


def needs_reduced_range() -> bool:
    """Return whether int8 weights must keep to 7 bits here; also where an x86 processor's flags cannot be read.

    x86 without VNNI multiplies unsigned by signed bytes into 16 bits with saturation: two products of full range
    overflow it and accuracy collapses without a word (ONNX Runtime's quantization guide, "S8S8 and U8S8").
    """
    return platform.machine().lower() in ("x86_64", "amd64") and not VNNI_FLAGS & processor_flags()
