"""What the manifests use of KEDA's and the Prometheus operator's own kinds, as strict JSON Schema.

Written from their CustomResourceDefinitions (keda.sh/v1alpha1, monitoring.coreos.com/v1). A field that is not
here may exist all the same: look it up there before adding it.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DURATION: Schema = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _kind(version: str, kind: str, spec: Schema) -> Schema:
    metadata = _object({"name": _TEXT}, {"namespace": _TEXT, "labels": {"type": "object"}})
    named = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    return _object(named | {"metadata": metadata, "spec": spec})


_NAME = _object({"name": _TEXT})

#: The trigger `metrics-api`; its metadata are strings, whatever they mean.
_TRIGGER = _object(
    {
        "type": {"const": "metrics-api"},
        "metricType": {"enum": ["AverageValue", "Value"]},
        "metadata": _object(
            {"url": _TEXT, "valueLocation": _TEXT, "targetValue": {"type": "string", "pattern": r"^[\d.]+$"}},
            {"activationTargetValue": _TEXT, "authMode": {"enum": ["apiKey", "basic", "tls", "bearer"]}},
        ),
        "authenticationRef": _NAME,
    }
)

_SCALED_OBJECT = _object(
    {
        "scaleTargetRef": _NAME,
        "minReplicaCount": _COUNT,
        "maxReplicaCount": _COUNT,
        "triggers": _list(_TRIGGER),
    },
    {
        "pollingInterval": _COUNT,
        "cooldownPeriod": _COUNT,
        "fallback": _object(
            {"failureThreshold": _COUNT, "replicas": _COUNT},
            {
                "behavior": {
                    "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
                }
            },
        ),
        # As in autoscaling/v2, whose schema the HorizontalPodAutoscaler of the component hpa is held to.
        "advanced": _object({"horizontalPodAutoscalerConfig": _object({"behavior": {"type": "object"}})}),
    },
)

_TRIGGER_AUTHENTICATION = _object(
    {"secretTargetRef": _list(_object({"parameter": {"const": "token"}, "name": _TEXT, "key": _TEXT}))}
)

_ENDPOINT = _object(
    {"port": _TEXT, "path": _TEXT},
    {
        "interval": _DURATION,
        "scrapeTimeout": _DURATION,
        "authorization": _object({"credentials": _object({"name": _TEXT, "key": _TEXT})}),
        "relabelings": _list(_object({"targetLabel": _TEXT, "replacement": _TEXT})),
    },
)
_SELECTOR = _object({"matchLabels": {"type": "object", "minProperties": 1}})

#: Kind to the schema of its manifests.
SCHEMAS: dict[str, Schema] = {
    "ScaledObject": _kind("keda.sh/v1alpha1", "ScaledObject", _SCALED_OBJECT),
    "TriggerAuthentication": _kind("keda.sh/v1alpha1", "TriggerAuthentication", _TRIGGER_AUTHENTICATION),
    "ServiceMonitor": _kind(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        _object({"selector": _SELECTOR, "endpoints": _list(_ENDPOINT)}),
    ),
    "PodMonitor": _kind(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        _object({"selector": _SELECTOR, "podMetricsEndpoints": _list(_ENDPOINT)}),
    ),
}
