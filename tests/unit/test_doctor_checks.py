"""Each check of the doctor: what is bad has a remedy, what is good is ok, what nobody saw is unknown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from corral import RateLimit, Retention, Settings
from corral.doctor import CHECKS, Facts, Status, examine
from corral.doctor.facts import Declared, Machine, Place, QueueFacts, SecretFile, Server
from corral.doctor.findings import Subject
from corral.doctor.weak_secrets import weakness
from corral.errors import InvalidInput
from corral.observe.standing import BreakerStanding, WorkerStanding
from corral.policy import Keep
from corral.scaling import ScalingDecision

DOCS = Path(__file__).parents[2] / "docs" / "operate" / "doctor.md"
SECRET = "m3Vq8xTz1Lr0Wc5Ypd7K"
MIA = "mia:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"
GIB = 2**30

SERVER = Server(
    product="redis",
    version=(7, 2, 4),
    lets_anyone_in=False,
    append_only=True,
    fsync="everysec",
    snapshots=((3600, 1), (60, 10_000)),
    append_failing=False,
    snapshot_failing=False,
    used_bytes=GIB,
    limit_bytes=4 * GIB,
    machine_bytes=8 * GIB,
    eviction="noeviction",
    clients=40,
    max_clients=10_000,
    role="master",
    replicas=(0, 1),
    ahead_seconds=0.002,
    round_trip_seconds=0.001,
    lacking_rights="",
    worker_hosts={"email": ("10.0.0.1", "10.0.0.2"), "kyc-verification": ("10.0.0.1", "10.0.0.2")},
)

EMAIL = QueueFacts(
    name="email",
    declared=Declared(rate_limit=RateLimit(100, per=60), timeout=20),
    unknown_names=(),
    late_schedules={},
)
KYC = replace(EMAIL, name="kyc-verification", declared=Declared(timeout=20))


def settings(**given: Any) -> Settings:
    """A service that is fit for production, but for what is given."""
    return Settings(
        _env_file=None,
        **{
            "api_keys": f"shop:{SECRET}:enqueue,ops:{SECRET}2:admin",
            "dashboard_users": f"{MIA}:operator",
            "public_url": "https://jobs.example.com",
            "dashboard_url": "https://ops.example.com",
            "encryption_keys": "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "encrypt": "all",
            "onfido_api_key": "key",
            "onfido_webhook_token": "token",
            "supabase_url": "https://p.supabase.co",
            "supabase_service_key": "key",
            "sendgrid_api_key": "key",
            "sendgrid_webhook_key": "key",
            **given,
        },
    )


def worker(name: str = "one", version: str = "1.0", **more: Any) -> WorkerStanding:
    return WorkerStanding(
        name=name, host=name, pid=1, version=version, queues=("email",), slots=1, busy=0, **more
    )


GOOD = Facts(
    at=1_000.0,
    settings=settings(),
    machine=Machine(open_files=65_536, secret_files=(SecretFile(path=".env", mode=0o600),)),
    place=Place(shown="rediss://redis.example:6379", tls=True, reach="private", password=SecretStr(SECRET)),
    server=SERVER,
    queues=(EMAIL, KYC),
    workers=(worker("one"), worker("two")),
    breakers=(BreakerStanding(name="onfido", state="closed"),),
)


def server(**given: Any) -> Facts:
    return replace(GOOD, server=replace(SERVER, **given))


def place(**given: Any) -> Facts:
    return replace(GOOD, place=replace(GOOD.place, **given))


def queue(**given: Any) -> Facts:
    return replace(GOOD, queues=(replace(EMAIL, **given),))


def machine(**given: Any) -> Facts:
    return replace(GOOD, machine=replace(GOOD.machine, **given))


def configured(**given: Any) -> Facts:
    return replace(GOOD, settings=settings(**given))


def with_setting(**more: Any) -> Facts:
    """With settings that this version may not have yet: checks read them by name."""
    fields = {name: getattr(GOOD.settings, name) for name in Settings.model_fields}
    return replace(GOOD, settings=cast("Settings", SimpleNamespace(**{**fields, **more})))


SCALED = ScalingDecision(
    at=400.0, host="one", pid=1, before=2, after=4, reason="", queue="email", obstacle="", room=4, inputs={}
)
MOUNTED = SecretFile(path="/run/key", mode=0o444, mounted=True)
NOTHING_KEPT = Declared(retention=Retention(completed=Keep(None, None)), rate_limit=RateLimit(1))
ONE = replace(SERVER, worker_hosts={"email": ("10.0.0.1",)})
NOBODY = replace(SERVER, worker_hosts={})
OPEN = BreakerStanding(name="onfido", state="open", held=9, reason="401")

#: The check, facts, the status, words of what was found, words of the remedy.
CASES: list[tuple[str, Facts, str, str, str]] = [
    ("reachable", replace(GOOD, unreachable="no connection"), "failure", "no connection", "REDIS_URL"),
    ("version", server(version=(6, 0, 9)), "failure", "too old", "Upgrade"),
    ("version", server(version=(6, 2)), "ok", "Redis 6.2", ""),
    ("version", server(version=(9, 0)), "note", "newer", "changelog"),
    ("version", server(product="dragonfly"), "note", "never tested", "Valkey"),
    ("version", server(version=None, refused=("INFO",)), "unknown", "may not run INFO", "+info"),
    ("persistence", server(fsync="always"), "ok", "loses nothing", ""),
    ("persistence", server(fsync="no"), "warning", "up to 30 s", "appendfsync everysec"),
    ("persistence", server(fsync=None), "ok", "up to 2 s, if", ""),
    ("persistence", server(append_only=False), "warning", "up to 60 min of jobs (60 s", "appendonly yes"),
    ("persistence", server(append_only=False, snapshots=()), "failure", "loses every job", "appendonly yes"),
    ("persistence", server(append_only=False, snapshots=None), "warning", "cannot be read", "appendonly yes"),
    ("persistence-works", server(append_failing=True), "failure", "append-only file", "df -h"),
    ("persistence-works", server(snapshot_failing=True), "failure", "snapshot", "INFO persistence"),
    ("eviction", server(eviction="allkeys-lru"), "failure", "throws keys", "noeviction"),
    ("eviction", server(eviction="volatile-ttl", limit_bytes=0), "warning", "once there is", "noeviction"),
    ("memory", server(used_bytes=3.7 * GIB), "failure", "(92%)", "retention"),
    ("memory", server(used_bytes=3.1 * GIB), "warning", "3.1 GiB of 4.0 GiB", "retention"),
    ("memory", server(limit_bytes=0), "note", "a full machine", f"maxmemory {6 * GIB}"),
    ("memory", server(limit_bytes=0, used_bytes=7 * GIB), "failure", "end Redis", "retention"),
    ("memory", server(limit_bytes=0, machine_bytes=None), "note", "no limit", "maxmemory"),
    ("connections", server(clients=8_000), "warning", "8,000 of 10,000", "maxclients 20000"),
    ("replication", server(role="slave"), "failure", "replica", "master"),
    ("replication", server(replicas=()), "note", "no replica", "Sentinel"),
    ("replication", server(replicas=(0, 60)), "warning", "1 of 2 replicas silent for 60 s", "INFO"),
    ("password", server(lets_anyone_in=True), "failure", "without a password", "requirepass"),
    ("password", replace(server(lets_anyone_in=True), place=Place()), "warning", "without", "requirepass"),
    ("password", place(password=SecretStr("foobared")), "failure", "an example's", "openssl"),
    ("password", place(password=SecretStr("short")), "failure", "5 characters", "openssl"),
    ("password", server(lets_anyone_in=None), "note", "not tried", ""),
    ("tls", place(tls=False), "warning", "no TLS", "rediss:"),
    ("tls", place(tls=False, reach="public"), "failure", "public address", "rediss:"),
    ("tls", place(tls=False, reach="local"), "ok", "on this machine", ""),
    ("clock", server(ahead_seconds=-2.5), "warning", "ahead of", "set-ntp"),
    ("clock", server(ahead_seconds=90.0), "failure", "behind", "set-ntp"),
    ("clock", server(ahead_seconds=1.4, round_trip_seconds=1.0), "ok", "give or take 0.500", ""),
    ("clock", server(ahead_seconds=None), "unknown", "clock", "+time"),
    ("rights", server(lacking_rights="The Redis user lacks +xadd"), "failure", "+xadd", "servers.md"),
    ("rights", server(lacking_rights=None), "unknown", "could not be tried", ""),
    ("workers-alive", server(worker_hosts={}), "note", "kyc-verification: no worker", "--processes 2"),
    ("workers-alive", replace(queue(counts={"waiting": 3}), workers=(), server=NOBODY),
     "failure", "no worker, while 3 wait", "--queues email"),
    ("workers-alive", replace(queue(), workers=None, server=ONE),
     "warning", "one worker only", "--processes 2"),
    ("workers-alive", replace(queue(), server=replace(SERVER, worker_hosts=None)), "ok", "for each of 1", ""),
    ("workers-alive", replace(GOOD, queues=()), "note", "no queue", "CORRAL_PREFIX"),
    ("workers-alive", replace(queue(), workers=None, server=replace(SERVER, worker_hosts=None)),
     "unknown", "CLIENT LIST", "+client|list"),
    ("workers-alive", replace(GOOD, queues=None), "unknown", "could not be listed", "+scan"),
    ("worker-machines", replace(queue(), workers=None, server=ONE),
     "note", "one machine", "second"),
    ("worker-versions", replace(GOOD, workers=(worker(), worker(version="1.1"))), "note", "1.0, 1.1", ""),
    ("worker-versions", replace(GOOD, workers=None), "unknown", "registry", ""),
    ("lock", configured(lock_seconds=2), "warning", "run twice", "CORRAL_LOCK_SECONDS=30"),
    ("lock", configured(lock_seconds=900), "warning", "900 to 930 s", "CORRAL_LOCK_SECONDS=30"),
    ("shutdown", configured(grace_seconds=1), "warning", "1 s to end", "CORRAL_GRACE_SECONDS=30"),
    ("shutdown", machine(orchestrator="kubernetes"), "note", "kills after 30 s", "GracePeriodSeconds: 40"),
    ("shutdown", machine(orchestrator="docker"), "note", "kills after 10 s", "stop_grace_period: 40s"),
    ("shutdown", machine(orchestrator="systemd"), "ok", "30 s to end", ""),
    ("shutdown", queue(declared=Declared(timeout=120)), "note", "email (120 s)", "CORRAL_GRACE_SECONDS"),
    ("open-files", machine(open_files=256), "failure", "256", "LimitNOFILE"),
    ("open-files", machine(open_files=1_024), "warning", "1,024", "ulimit -n 65536"),
    ("open-files", machine(open_files=None), "unknown", "no limit", ""),
    ("retention", queue(declared=NOTHING_KEPT), "failure", "completed jobs are kept for ever", "retention="),
    ("retention", queue(declared=None, counts={"completed": 200_000}), "warning", "200,000", "queues clean"),
    ("rate-limits", queue(declared=Declared()), "warning", "no rate limit", "RateLimit(100, per=60)"),
    ("rate-limits", queue(declared=None, rate_limit=RateLimit(5)), "ok", "present", ""),
    ("old-clients", queue(old_clients="bullmq:5.1.0"), "warning", "bullmq:5.1.0", "bullmq@6"),
    ("layout", queue(written_by="bullmq:9.0.0"), "failure", "bullmq:9.0.0", "pip install"),
    ("unknown-names", queue(unknown_names=("gone",)), "warning", "no handler for gone", "Deploy"),
    ("unknown-names", queue(unknown_names=None), "unknown", "could not be read", ""),
    ("schedules", queue(late_schedules={"nightly": 90.0}), "warning", "by up to 90 s", "corral worker"),
    ("schedules", queue(late_schedules=None), "unknown", "could not be read", ""),
    ("paused", queue(paused=True), "note", "email", "corral queues resume email"),
    ("api-keys", configured(api_keys=""), "warning", "has no key", "openssl"),
    ("api-keys", configured(api_keys="", public_url="http://localhost:3000"), "note", "has no key", ""),
    ("api-keys", configured(api_keys="shop:changeme-changeme:admin"), "failure", "shop is an", "openssl"),
    ("api-keys", configured(api_keys="shop:x7:admin"), "failure", "shop has 2 characters", "openssl"),
    ("api-keys", configured(api_keys=f"shop:{SECRET}:boss"), "failure", "unknown role", "openssl"),
    ("dashboard", configured(dashboard_users=""), "note", "nobody", "CORRAL_DASHBOARD_USERS"),
    ("dashboard", configured(dashboard_users=f"{MIA}:admin,ben:plain:admin"), "failure", "entry 2", "hash"),
    ("dashboard", configured(dashboard_users="mia"), "failure", "not name:hash:role", "password"),
    ("dashboard", configured(dashboard_users=f"{MIA}:boss"), "failure", "unknown role", "password"),
    ("dashboard", configured(dashboard_users=f"{MIA}:viewer+payloads"), "ok", "1 users", ""),
    ("dashboard", configured(dashboard_url="http://ops.example.com"), "failure", "not encrypted", "https:"),
    ("dashboard", configured(dashboard_url="http://127.0.0.1:3002"), "note", "this machine", "https:"),
    ("public-url", configured(public_url="http://jobs.example.com"), "failure", "not encrypted", "https:"),
    ("public-url", configured(public_url="http://127.0.0.1:3000"), "note", "cannot reach", "https:"),
    ("fetch-allow", configured(fetch_allow="10.0.0.9:80"), "warning", "10.0.0.9:80", "CORRAL_FETCH_ALLOW"),
    ("secret-files", machine(secret_files=(SecretFile(path=".env", mode=0o644),)),
     "failure", "everybody here may read .env", "chmod 600 .env"),
    ("secret-files", machine(secret_files=(SecretFile(path=".env", mode=0o640),)),
     "note", "a group may read", "chmod 600 .env"),
    ("secret-files", machine(secret_files=(MOUNTED,), orchestrator="docker"),
     "note", "of this container may read /run/key", "defaultMode: 0400"),
    ("secret-files", machine(secret_files=(MOUNTED,)), "failure", "everybody here", "chmod 600 /run/key"),
    ("encryption", configured(encrypt="email"), "warning", "kyc", "=email,kyc-verification"),
    ("encryption", configured(encrypt="kyc-verification"), "ok", "at rest: kyc-verification", ""),
    ("encryption", replace(configured(encrypt=""), queues=()), "note", "plain", "CORRAL_ENCRYPT=all"),
    ("encryption", configured(encryption_keys=""), "warning", "kyc-verification", "CORRAL_ENCRYPTION_KEYS"),
    ("encryption", replace(configured(encryption_keys=""), queues=()), "note", "plain", "CORRAL_ENCRYPTION"),
    ("sandbox", configured(sandbox=True), "failure", "no identity check", "CORRAL_SANDBOX=false"),
    ("provider-keys", configured(sendgrid_api_key=""), "failure", "email holds", "SENDGRID_API_KEY"),
    ("provider-keys", configured(supabase_url="", supabase_service_key=""), "failure",
     "kyc-verification holds", "SUPABASE_URL and SUPABASE_SERVICE_KEY"),
    ("provider-keys", configured(idenfy_api_key="key"), "failure", "by half", "IDENFY_API_SECRET"),
    ("provider-keys", configured(twilio_account_sid="a", twilio_auth_token="b"), "failure", "twilio",
     "TWILIO_FROM or TWILIO_MESSAGING_SERVICE_SID"),
    ("webhook-keys", configured(onfido_webhook_token=""), "warning", "polled", "ONFIDO_WEBHOOK_TOKEN"),
    ("breakers", replace(GOOD, breakers=(OPEN,)),
     "warning", "9 jobs held: 401", "corral breakers resume onfido"),
    ("breakers", replace(GOOD, breakers=None), "unknown", "could not be read", ""),
    ("image-folder", queue(name="image-processing"), "note", "folder", "CORRAL_IMAGE_TARGET"),
    ("alerts", GOOD, "warning", "nobody is told", "CORRAL_ALERT_TO"),
    ("alerts", with_setting(alert_to=("log",)), "warning", "nobody is told", "corral alerts test"),
    ("alerts", with_setting(alert_to=("log", "slack")), "ok", "told by slack", ""),
    ("autoscaling", GOOD, "note", "2 worker processes", "--processes"),
    ("autoscaling", machine(orchestrator="kubernetes"), "note", "Kubernetes", "kubectl get hpa"),
    ("autoscaling", replace(GOOD, workers=()), "note", "no worker", "--processes"),
    ("autoscaling", replace(GOOD, last_scaling=SCALED), "ok", "on one 10 min ago: 2 to 4 processes", ""),
    ("logs", machine(terminal=True), "ok", "terminal", ""),
]  # fmt: skip


def one(check: str, facts: Facts) -> Any:
    return examine(facts, only=[check]).findings[0]


@pytest.mark.parametrize(
    ("check", "facts", "status", "found", "remedy"),
    CASES,
    ids=[f"{c[0]}-{c[2]}-{n}" for n, c in enumerate(CASES)],
)
def test_a_case(check: str, facts: Facts, status: str, found: str, remedy: str) -> None:
    finding = one(check, facts)
    assert finding.status == status, finding
    assert found in finding.found
    assert remedy in finding.remedy
    if status in ("warning", "failure"):
        assert finding.remedy  # nobody is left alone with it
    assert "\n" not in finding.found
    assert "" not in finding.remedy.split("\n") or not finding.remedy
    for secret in (SECRET, "foobared", "changeme-changeme", "plain:"):
        assert secret not in finding.found + finding.remedy


#: Facts in which a check is ok that is not so in GOOD.
OTHERWISE_OK = {
    "image-folder": configured(image_target="s3"),
    "alerts": with_setting(alert_to=("slack",)),
    "autoscaling": replace(GOOD, last_scaling=SCALED),
}


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_what_is_well_is_ok(check: str) -> None:
    finding = one(check, OTHERWISE_OK.get(check, GOOD))
    assert (finding.status, finding.remedy) == (Status.OK, ""), finding


def test_remedies_of_several_stand_each_on_their_own_line() -> None:
    other = replace(OPEN, name="sendgrid")
    assert one("breakers", replace(GOOD, breakers=(OPEN, other))).remedy.splitlines() == [
        "corral breakers test onfido; once it passes: corral breakers resume onfido",
        "corral breakers test sendgrid; once it passes: corral breakers resume sendgrid",
    ]


def test_every_check_has_a_case_that_is_not_well() -> None:
    bad = {check for check, _, status, *_ in CASES if status not in ("ok", "unknown")}
    assert {check.name for check in CHECKS} - bad == {"logs"}  # they are JSON by themselves


def test_names_are_their_own() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert not set(names) & set(Subject)


# The report


def test_redis_away_fails_and_leaves_the_other_checks() -> None:
    away = replace(GOOD, unreachable="no connection", server=None, queues=None, workers=None, breakers=None)
    report = examine(away)
    found = {finding.check: finding.status for finding in report.findings}
    assert report.exit_code() == 1
    assert found["reachable"] is Status.FAILURE
    assert found["persistence"] is found["workers-alive"] is found["breakers"] is Status.UNKNOWN
    assert found["api-keys"] is found["lock"] is found["tls"] is Status.OK
    assert [f for f in report.findings if f.status is Status.UNKNOWN and "no connection" not in f.found] == []


@pytest.mark.parametrize(
    ("facts", "code", "strict"),
    [
        (GOOD, 0, 0),
        (server(replicas=()), 0, 0),
        (configured(fetch_allow="10.0.0.9"), 0, 1),
        (server(lacking_rights=None), 0, 1),
        (server(eviction="allkeys-lru"), 1, 1),
    ],
)
def test_the_exit_code(facts: Facts, code: int, strict: int) -> None:
    report = examine(facts, skip=["alerts"])
    assert (report.exit_code(), report.exit_code(strict=True)) == (code, strict)


def test_checks_are_chosen_by_name_and_by_subject() -> None:
    names = [
        finding.check for finding in examine(GOOD, only=["redis", "lock"], skip=["clock", "tls"]).findings
    ]
    assert names[0] == "reachable"
    assert "lock" in names
    assert not {"clock", "tls", "workers", "api-keys"} & set(names)


def test_a_check_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no check evictoin.*eviction"):
        examine(GOOD, skip=["evictoin"])


def test_the_report_counts_by_status() -> None:
    counts = examine(GOOD, only=["lock", "alerts", "logs"]).counts
    assert counts == {"ok": 2, "note": 0, "unknown": 0, "warning": 1, "failure": 0}


@pytest.mark.parametrize(
    ("secret", "weak"),
    [
        (SECRET, False),
        ("short", True),
        ("Change-Me-Please-1", True),
        ("a" * 40, True),
        ("abcabcabcabcabcabc", True),
    ],
)
def test_a_secret_is_weighed(secret: str, weak: bool) -> None:
    assert bool(weakness(secret)) is weak


def test_the_page_lists_exactly_these_checks() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([a-z]+) \| (.*) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert rows == [(check.name, check.subject.value, check.wants) for check in CHECKS]
