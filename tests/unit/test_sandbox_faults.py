"""What `POST /faults` takes, and what it says of what it does not take."""

from __future__ import annotations

from typing import Any

import pytest

from corral.sandbox.faults import Faults


def faults() -> Faults:
    return Faults({"idenfy", "onfido"}, {"idenfy"})


@pytest.mark.parametrize("status", ["400", "404", "418", "429", "500", "503", "599", 503])
def test_any_status_of_an_error_can_be_asked_for(status: object) -> None:
    fault = faults().add({"provider": "onfido", "fault": status})
    assert (fault.is_status, fault.instead) == (True, True)


@pytest.mark.parametrize("kind", ["hang", "drop", "truncated"])
def test_a_broken_answer_comes_after_the_work_unless_told_otherwise(kind: str) -> None:
    assert not faults().add({"provider": "onfido", "fault": kind}).instead
    assert faults().add({"provider": "onfido", "fault": kind, "carried_out": False}).instead


def test_latency_alone_is_a_late_answer() -> None:
    fault = faults().add({"provider": "onfido", "latency": 1.5})
    assert (fault.fault, fault.latency, fault.instead) == ("late", 1.5, False)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, "provider is one of idenfy, onfido"),
        ({"provider": "stripe", "fault": "500"}, "provider is one of"),
        ({"provider": "onfido"}, "fault is a status"),
        ({"provider": "onfido", "fault": "200"}, "fault is a status from 400 to 599"),
        ({"provider": "onfido", "fault": "600"}, "fault is a status from 400 to 599"),
        ({"provider": "onfido", "fault": "4291"}, "fault is a status from 400 to 599"),
        ({"provider": "onfido", "fault": "explode"}, "fault is a status"),
        ({"provider": "onfido", "fault": "soft"}, "of idenfy alone"),
        ({"provider": "onfido", "fault": "late"}, "needs its latency"),
        ({"provider": "onfido", "latency": -1}, "latency is seconds"),
        ({"provider": "onfido", "latency": 121}, "latency is seconds"),
        ({"provider": "onfido", "latency": "2"}, "latency is seconds"),
        ({"provider": "onfido", "latency": True}, "latency is seconds"),
        ({"provider": "onfido", "fault": "500", "times": 0}, "times is"),
        ({"provider": "onfido", "fault": "500", "times": True}, "times is"),
        ({"provider": "onfido", "fault": "500", "headers": ["Retry-After"]}, "headers is an object"),
        ({"provider": "onfido", "fault": "500", "headers": {"Retry-After": 7}}, "headers is an object"),
        ({"provider": "onfido", "fault": "500", "headers": {"A b": "7"}}, "headers is an object"),
        ({"provider": "onfido", "fault": "500", "headers": {"A": "7\r\nB: 8"}}, "headers is an object"),
        ({"provider": "onfido", "fault": "drop", "headers": {"A": "7"}}, "go with a status only"),
        ({"provider": "onfido", "fault": "500", "delay": 1}, "unknown key 'delay'"),
    ],
)
def test_a_wrong_specification_is_refused_with_what_is_wrong(spec: dict[str, Any], reason: str) -> None:
    waiting = faults()
    with pytest.raises(ValueError, match=reason):
        waiting.add(spec)
    assert waiting.show() == []


def test_faults_are_used_up_in_their_order_by_the_requests_they_are_for() -> None:
    waiting = faults()
    waiting.add({"provider": "onfido", "fault": "500", "times": 2, "path": "POST /checks"})
    waiting.add({"provider": "onfido", "fault": "429", "headers": {"Retry-After": "7"}, "latency": 0.5})
    assert waiting.take("idenfy", "POST", "/checks") is None
    taken = [waiting.take("onfido", *request) for request in (("GET", "/checks"), ("POST", "/checks"))]
    assert [fault and fault.fault for fault in taken] == ["429", "500"]
    assert waiting.show() == [{"provider": "onfido", "fault": "500", "times": 1, "path": "POST /checks"}]
    waiting.clear()
    assert waiting.take("onfido", "POST", "/checks") is None


def test_what_is_left_says_its_headers_and_latency() -> None:
    waiting = faults()
    waiting.add({"provider": "onfido", "fault": "429", "headers": {"Retry-After": "7"}, "latency": 0.5})
    assert waiting.show() == [
        {
            "provider": "onfido",
            "fault": "429",
            "times": 1,
            "path": "",
            "latency": 0.5,
            "headers": {"retry-after": "7"},
        }
    ]
