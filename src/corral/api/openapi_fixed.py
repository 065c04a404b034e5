"""The parts of the API's description that no queue changes: looking, webhooks, operating, problems."""

from __future__ import annotations

from typing import Any

from corral.api.jobs import MAX_WAIT_SECONDS
from corral.api.problems import MEDIA_TYPE
from corral.bullmq.cancel import REASON_LIMIT

Json = dict[str, Any]


def ref(name: str) -> Json:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def problems(*statuses: int) -> Json:
    """References to the shared problem responses."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _text(description: str, media_type: str, schema: Json) -> Json:
    return {"description": description, "content": {media_type: {"schema": schema}}}


QUEUE_PARAMETER: Json = {
    "name": "queue",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^:/\\s]+$"},
}
IDEMPOTENCY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "For 24 hours the same key with the same data gives the same job; with other data, 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
WEBHOOK_PARAMETER: Json = {
    "name": "Corral-Webhook",
    "in": "header",
    "required": False,
    "description": "A URL that gets a signed POST when the job has completed or failed; for jobs that bring "
    "no `webhook` of their own.",
    "schema": {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2048},
}
JOB_ID_PARAMETER: Json = {"name": "jobId", "in": "path", "required": True, "schema": {"type": "string"}}

LOOKING: Json = {
    "/job-status/{jobId}": {
        "get": {
            "summary": "A job's status",
            "description": "Without `queue` all known queues are asked; the first that has the id answers, "
            "and the header Corral-Also-In names the others that have one.",
            "operationId": "job-status",
            "tags": ["jobs"],
            "parameters": [
                JOB_ID_PARAMETER,
                {"name": "queue", "in": "query", "required": False, "schema": {"type": "string"}},
            ],
            "responses": {
                "200": _text("The job.", "application/json", ref("JobStatus")),
                "404": _text("No such job.", MEDIA_TYPE, ref("JobNotFound")),
                **problems(401, 403, 503),
            },
        }
    },
    "/images/{path}": {
        "get": {
            "summary": "A finished image of the folder target",
            "operationId": "image",
            "tags": ["jobs"],
            "parameters": [{"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {
                "200": {"description": "The image.", "content": {"image/*": {}}},
                **problems(401, 403, 404),
            },
        }
    },
    "/v1/queues/{queue}/jobs/{jobId}": {
        "get": {
            "summary": "A job, at once or when it has ended",
            "operationId": "job",
            "tags": ["jobs"],
            "parameters": [
                QUEUE_PARAMETER,
                JOB_ID_PARAMETER,
                {
                    "name": "wait",
                    "in": "query",
                    "required": False,
                    "description": "Seconds to hold the answer until the job has ended.",
                    "schema": {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
                },
            ],
            "responses": {
                "200": _text("The job.", "application/json", ref("JobView")),
                **problems(401, 403, 404, 422, 503),
            },
        },
        "delete": {
            "summary": "Cancel a job, also while it runs; for the roles enqueue and admin",
            "description": "A job that a stock BullMQ worker runs goes on: only Corral's workers obey.",
            "operationId": "cancel",
            "tags": ["jobs"],
            "parameters": [
                QUEUE_PARAMETER,
                JOB_ID_PARAMETER,
                {
                    "name": "reason",
                    "in": "query",
                    "required": False,
                    "description": "Kept as the job's failed reason.",
                    "schema": {"type": "string", "maxLength": REASON_LIMIT, "default": ""},
                },
            ],
            "responses": {
                "200": _text("It had not started and is removed.", "application/json", ref("Cancellation")),
                "202": _text("It runs; its worker has been told.", "application/json", ref("Cancellation")),
                "409": _text("It is finished, or not to be cancelled.", MEDIA_TYPE, ref("Problem")),
                **problems(401, 403, 404, 422, 503),
            },
        },
    },
}


def _webhook(
    provider: str,
    *headers: str,
    proof: str = "HMAC-SHA256 of the raw body in hexadecimal.",
    body: str = "object",
    status: str = "204",
) -> Json:
    return {
        "post": {
            "summary": f"Signed callbacks of {provider}",
            "operationId": f"webhook-{provider}",
            "tags": ["webhooks"],
            "security": [],
            "parameters": [
                {
                    "name": header,
                    "in": "header",
                    "required": True,
                    "description": proof,
                    "schema": {"type": "string"},
                }
                for header in headers
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": body}}},
            },
            "responses": {status: {"description": "Taken."}, **problems(401, 413, 503)},
        }
    }


WEBHOOKS: Json = {
    "/webhooks/onfido": _webhook("onfido", "X-SHA2-Signature"),
    "/webhooks/idenfy": _webhook("idenfy", "Idenfy-Signature"),
}

MAIL_WEBHOOKS: Json = {
    "/webhooks/sendgrid": _webhook(
        "sendgrid",
        "X-Twilio-Email-Event-Webhook-Signature",
        "X-Twilio-Email-Event-Webhook-Timestamp",
        proof="The time, in epoch seconds; ECDSA (P-256, SHA-256) over the time and the raw body, in base64.",
        body="array",
    ),
    # Its proof is in the body.
    "/webhooks/mailgun": _webhook("mailgun", status="200"),
}


def _open(path: str, summary: str, *failures: int) -> Json:
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    return {
        method: {
            "summary": summary,
            "operationId": f"{path}-{method}",
            "tags": ["operating"],
            "security": [],
            "responses": {"200": _text("Yes.", "application/json", status), **problems(*failures)},
        }
        for method in ("get", "head")
    }


OPERATING: Json = {
    "/healthz": _open("healthz", "The process is alive"),
    "/readyz": _open("readyz", "Redis answers, so jobs can be taken", 503),
    "/metrics": {
        "get": {
            "summary": "Queues and requests in Prometheus text; for the roles read and admin",
            "operationId": "metrics",
            "tags": ["operating"],
            "responses": {"200": _text("Samples.", "text/plain", {"type": "string"}), **problems(401, 403)},
        }
    },
    "/openapi.json": {
        "get": {
            "summary": "This description",
            "operationId": "openapi",
            "tags": ["operating"],
            "responses": {
                "200": _text("OpenAPI 3.1.", "application/json", {"type": "object"}),
                **problems(401),
            },
        }
    },
}

_QUEUED = {"const": "queued"}
_PROBLEM_PROPERTIES: Json = {
    "type": {"type": "string", "format": "uri", "examples": ["urn:corral:problem:invalid-data"]},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string", "description": "What is wrong, and what to do next."},
    "errors": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "examples": ["$.data.userId"]},
                "detail": {"type": "string"},
            },
            "required": ["path", "detail"],
        },
    },
    "position": {"type": "integer", "description": "Where the JSON breaks, in bytes from the start."},
}

SCHEMAS: Json = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "properties": _PROBLEM_PROPERTIES,
        "required": ["type", "title", "status", "detail"],
    },
    "JobNotFound": {
        "type": "object",
        "description": "A problem whose `status` is the job's.",
        "properties": {**_PROBLEM_PROPERTIES, "status": {"const": "not_found"}},
        "required": ["type", "title", "status", "detail"],
    },
    "Added": {
        "type": "object",
        "properties": {"jobId": {"type": "string"}, "queue": {"type": "string"}, "status": _QUEUED},
        "required": ["jobId", "queue", "status"],
    },
    "AddedBulk": {
        "type": "object",
        "properties": {
            "queue": {"type": "string"},
            "status": _QUEUED,
            "jobIds": {"type": "array", "items": {"type": "string"}, "description": "In the order sent."},
        },
        "required": ["queue", "status", "jobIds"],
    },
    "Queued": {
        "type": "object",
        "properties": {"jobId": {"type": "string"}, "status": _QUEUED, "message": {"type": "string"}},
        "required": ["jobId", "status", "message"],
    },
}

HEADERS: Json = {
    "Location": {"description": "Where to look at the job.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` if the job was there before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
}

_DESCRIPTIONS = {
    400: "The body is not JSON, or the Idempotency-Key is not usable.",
    401: "No key, an unknown key, or a wrong signature.",
    403: "The key's role may not do this.",
    404: "No such queue or job.",
    408: "The body did not arrive in time.",
    409: "The idempotency key was used with other data.",
    413: "The body is over 1 MiB, or the data over the queue's limit.",
    415: "The body is not declared as JSON.",
    422: "The request, its data or a job name is not valid; `errors` says where.",
    503: "Redis does not answer, or has no memory left.",
}
_HEADER_OF = {401: "WWW-Authenticate", 503: "Retry-After"}


def _response(status: int, description: str) -> Json:
    response = _text(description, MEDIA_TYPE, ref("Problem"))
    if name := _HEADER_OF.get(status):
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"}}
    return response


RESPONSES: Json = {str(status): _response(status, text) for status, text in _DESCRIPTIONS.items()}
