"""The part of the API's description that is about event streams."""

from __future__ import annotations

from typing import Any

from corral.api.openapi_fixed import JOB_ID_PARAMETER, QUEUE_PARAMETER, Json, problems

_LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Go on behind this event; what was missed meanwhile comes first.",
    "schema": {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"},
}


def _stream(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": example}},
    }


STREAMING: Json = {
    "/v1/queues/{queue}/jobs/{jobId}/events": {
        "get": {
            "summary": "What happens to a job, live, until it ends",
            "description": "Server-sent events: `status` with the job as it stands, then waiting, active, "
            "progress, delayed, completed, failed, removed as they come. `gap`: some may be missing here.",
            "operationId": "job-events",
            "tags": ["jobs"],
            "parameters": [QUEUE_PARAMETER, JOB_ID_PARAMETER, _LAST_EVENT_ID],
            "responses": {
                "200": _stream(
                    "The events.",
                    "id: 1767225600000-0\nevent: progress\n"
                    'data: {"queue":"reports","at":"2026-01-01T00:00:00Z","jobId":"17","progress":50}\n\n',
                ),
                "204": {"description": "The job has ended, and nothing is new. Do not come back."},
                **problems(401, 403, 404, 422, 503),
            },
        }
    },
    "/v1/queues/{queue}/events": {
        "get": {
            "summary": "What happens in a queue, live",
            "description": "Server-sent events of all jobs. Last-Event-ID 0: from the oldest that is kept.",
            "operationId": "queue-events",
            "tags": ["jobs"],
            "parameters": [QUEUE_PARAMETER, _LAST_EVENT_ID],
            "responses": {
                "200": _stream(
                    "The events.",
                    "id: 1767225600000-0\nevent: added\n"
                    'data: {"queue":"reports","at":"2026-01-01T00:00:00Z","jobId":"17","name":"build"}\n\n',
                ),
                **problems(401, 403, 404, 422, 503),
            },
        }
    },
}
