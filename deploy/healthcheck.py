"""The image's HEALTHCHECK: exit 0 if HEALTH_URL answers 2xx within three seconds, else 1 with the reason.

The API answers at :3000/healthz, the default; a worker at the /healthz of its --health-port. Needs nothing
but Python, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import os
import sys
import urllib.request

SECONDS = 3

url = os.environ.get("HEALTH_URL", "http://127.0.0.1:3000/healthz")
# No proxy of the environment has a part in asking oneself.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(url, timeout=SECONDS):
        pass
except (OSError, ValueError) as error:  # HTTPError, URLError and time-outs are OSErrors
    sys.exit(f"{url}: {error}")
