"""Every record of Thresher's own names what is there."""

from __future__ import annotations

import pytest

from thresher.kinds.built_in import KINDS
from thresher.kinds.record import Kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.group}-{kind.name}")
def test_settings_and_implementation_are_there(kind: Kind) -> None:
    if kind.config:
        assert kind.config_class.model_fields["kind"].default == kind.name
    if kind.implementation:
        assert callable(kind.load())
