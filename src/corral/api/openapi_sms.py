"""The part of the API's description that is about Twilio's callbacks."""

from __future__ import annotations

from corral.api.openapi_fixed import Json, problems

SMS_WEBHOOKS: Json = {
    "/webhooks/twilio": {
        "post": {
            "summary": "Signed status callbacks of twilio",
            "operationId": "webhook-twilio",
            "tags": ["webhooks"],
            "security": [],
            "parameters": [
                {
                    "name": "X-Twilio-Signature",
                    "in": "header",
                    "required": True,
                    "description": "HMAC-SHA1 of the whole URL and the sorted form, in base64.",
                    "schema": {"type": "string"},
                },
                {
                    "name": "job",
                    "in": "query",
                    "required": False,
                    "description": "Whose log the state goes to.",
                    "schema": {"type": "string"},
                },
            ],
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
            },
            "responses": {"204": {"description": "Taken."}, **problems(401, 413, 503)},
        }
    }
}
