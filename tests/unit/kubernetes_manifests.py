"""Reads deploy/kubernetes/ as kustomize does, as far as it goes: resources and components, not patches."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ("small", "hpa", "keda")

Manifest = dict[str, Any]


def overlay(name: str) -> list[Manifest]:
    """The manifests of an overlay, from its kustomization down. The caller's own: it may change them."""
    return deepcopy(_read(name))


@cache
def _read(name: str) -> list[Manifest]:
    return list(_of(KUBERNETES / "overlays" / name))


def template() -> list[Manifest]:
    """The secrets' template."""
    return list(yaml.safe_load_all((KUBERNETES / "secrets.template.yaml").read_text()))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Pod templates by the name of what makes them."""
    makers = of_kind(manifests, "Deployment", "StatefulSet")
    return {maker["metadata"]["name"]: maker["spec"]["template"] for maker in makers}


def container(pod: Manifest) -> Manifest:
    """A pod's only container."""
    (found,) = pod["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector takes something with these labels."""
    wanted: dict[str, str] = selector.get("matchLabels", {})
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return wanted.items() <= labels.items()


def _of(folder: Path) -> Iterator[Manifest]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for entry in [*kustomization.get("resources", []), *kustomization.get("components", [])]:
        path = (folder / entry).resolve(strict=True)
        if path.is_dir():
            yield from _of(path)
        else:
            yield from yaml.safe_load_all(path.read_text())
