"""Request counts become Prometheus samples."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from corral.api.traffic import BUCKETS, Traffic


def registry_of(traffic: Traffic) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(traffic)
    return registry


def test_requests_are_counted_by_method_route_and_status() -> None:
    traffic = Traffic()
    for status in (202, 202, 422):
        traffic.observe("POST", "/a", status, 0.003)
    registry = registry_of(traffic)
    labels = {"method": "POST", "route": "/a"}
    assert registry.get_sample_value("corral_http_requests_total", {**labels, "status": "202"}) == 2
    assert registry.get_sample_value("corral_http_requests_total", {**labels, "status": "422"}) == 1


def test_durations_are_cumulated_over_statuses() -> None:
    traffic = Traffic()
    for status, seconds in ((202, 0.001), (202, 0.0011), (500, 0.2), (200, 999.0)):
        traffic.observe("POST", "/a", status, seconds)
    registry = registry_of(traffic)
    labels = {"method": "POST", "route": "/a"}
    name = "corral_http_request_duration_seconds"

    def below(bound: str) -> float | None:
        return registry.get_sample_value(f"{name}_bucket", {**labels, "le": bound})

    # A value on a bound belongs below it: Prometheus's "le".
    assert [below(b) for b in ("0.001", "0.0025", "0.1", "0.25", "60.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    assert registry.get_sample_value(f"{name}_count", labels) == 4
    assert registry.get_sample_value(f"{name}_sum", labels) == sum((0.001, 0.0011, 0.2, 999.0))


def test_bounds_rise() -> None:
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_event_streams_are_requests_without_a_duration_and_open_until_they_end() -> None:
    traffic = Traffic()
    traffic.observe("GET", "/a", 200, 0.003)
    traffic.begin_stream("GET", "/a", 200)
    traffic.begin_stream("GET", "/b", 200)
    traffic.begin_stream("GET", "/b", 200)
    traffic.end_stream("/b")
    registry = registry_of(traffic)

    def requests(route: str) -> float | None:
        return registry.get_sample_value(
            "corral_http_requests_total", {"method": "GET", "route": route, "status": "200"}
        )

    assert [requests("/a"), requests("/b")] == [2, 2]
    count = "corral_http_request_duration_seconds_count"
    assert registry.get_sample_value(count, {"method": "GET", "route": "/a"}) == 1
    assert registry.get_sample_value(count, {"method": "GET", "route": "/b"}) is None
    opened = [registry.get_sample_value("corral_http_open_streams", {"route": r}) for r in ("/a", "/b")]
    assert opened == [1, 1]
