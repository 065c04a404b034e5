"""Writes the management API's description for the dashboard's client: ui/openapi.json."""

from __future__ import annotations

import json
from pathlib import Path

from corral.manage.routes import description

if __name__ == "__main__":
    file = Path(__file__).parents[1] / "ui" / "openapi.json"
    file.write_text(json.dumps(description(), indent=1) + "\n")
