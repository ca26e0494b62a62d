from __future__ import annotations

import stand_in


def test_x() -> None:
    assert stand_in.LIBRARIES
