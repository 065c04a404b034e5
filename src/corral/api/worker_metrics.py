"""The page /metrics of a worker's health port: all its processes together, behind the keys of the HTTP API.

A key of CORRAL_API_KEYS with the role read or admin; where none is configured, 403 with what to set: the
health port listens on all addresses, and the names of queues and jobs are nobody else's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from corral.api.auth import Keyring, Permission
from corral.api.problems import MEDIA_TYPE, Problem, Refused
from corral.observe.health import Answer, Page
from corral.observe.process_folder import ProcessFolder
from corral.observe.process_use import ProcessUse
from corral.observe.prometheus import Families, job_families, present_families, process_families

_NO_KEYS = Problem(
    403,
    "no-keys",
    "No API key is configured",
    "Metrics are shown to callers with a key. Set CORRAL_API_KEYS for the worker, as for the HTTP API, to "
    "name:secret:read, restart it, and let the scraper send `Authorization: Bearer <secret>`.",
)


def metrics_page(folder: ProcessFolder, restarts: Callable[[], int], api_keys: str) -> Page:
    """The page. `restarts`: how many processes were started in place of one that ended, so far.

    Raises ConfigurationError if `api_keys` is malformed; it may be empty.
    """
    keyring = Keyring.parse(api_keys) if api_keys.strip() else None
    use = ProcessUse()

    def page(headers: Mapping[str, str]) -> Answer:
        if keyring is None:
            return _refuse(_NO_KEYS)
        try:
            keyring.require(headers.get("authorization", "").encode("latin-1"), Permission.READ_METRICS)
        except Refused as refused:
            return _refuse(refused.problem)
        seen = folder.together(time.time())
        registry = CollectorRegistry()
        registry.register(
            Families(
                [
                    *job_families(seen.counted),
                    *present_families(seen.present),
                    *process_families(
                        seen.counted,
                        processes=seen.processes,
                        restarts=restarts(),
                        memory_bytes=use.measure()[0],
                    ),
                ]
            )
        )
        encode, content_type = choose_encoder(headers.get("accept", ""))
        return Answer(HTTPStatus.OK, encode(registry), content_type)

    return page


def _refuse(problem: Problem) -> Answer:
    return Answer(HTTPStatus(problem.status), problem.to_json(), MEDIA_TYPE, problem.headers)
