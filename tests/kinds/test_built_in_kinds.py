"""Every record of Thresher's own names what is there."""

from __future__ import annotations

import pytest

from thresher.kinds.built_in import KINDS
from thresher.kinds.record import Kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.group}-{kind.name}")
def test_settings_and_implementation_are_there(kind: Kind) -> None:
    kind.check()
    assert all(module.startswith(("thresher.", "torch.")) for module in kind.modules)
