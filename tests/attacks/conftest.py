"""Attacks stand on the same servers and services as the integration tests."""

from __future__ import annotations

import sys
from pathlib import Path

# `http_service`, `standins` and the others are modules of that folder.
sys.path.append(str(Path(__file__).parents[1] / "integration"))
