"""Settings: what is read, what is refused, and that `.env.example` tells the truth."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from corral.errors import ConfigurationError
from corral.settings import Settings, check_names, known_names

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
#: A setting in .env.example: a commented line that becomes one when its `# ` is taken off.
SETTING = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting from outside, and a working folder without a `.env`."""
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    settings = Settings.load()
    assert settings.redis_url == "redis://127.0.0.1:6379"
    assert settings.prefix == "bull"
    assert (settings.lock_seconds, settings.stalled_seconds, settings.grace_seconds) == (30, 30, 30)
    assert settings.sandbox is False
    assert settings.fetch_allow == ()


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://cache.example.com:6380/2")
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "1.5")
    monkeypatch.setenv("CORRAL_FETCH_ALLOW", "minio.example.com:9000, , files.example.com")
    settings = Settings.load()
    assert settings.redis_url == "redis://cache.example.com:6380/2"
    assert settings.lock_seconds == 1.5
    assert settings.fetch_allow == ("minio.example.com:9000", "files.example.com")


def test_environment_wins_over_file(monkeypatch: pytest.MonkeyPatch, empty_environment: Path) -> None:
    (empty_environment / ".env").write_text("CORRAL_PREFIX=file\nCORRAL_IMAGE_BUCKET=pictures\n")
    monkeypatch.setenv("CORRAL_PREFIX", "environment")
    settings = Settings.load()
    assert (settings.prefix, settings.image_bucket) == ("environment", "pictures")


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONFIDO_API_KEY", "api_live.s3cret")
    settings = Settings.load()
    assert "s3cret" not in f"{settings!r} {settings}"
    assert settings.onfido_api_key.get_secret_value() == "api_live.s3cret"


@pytest.mark.parametrize(
    "name", sorted(n for n in known_names() if re.search("KEY|SECRET|TOKEN|PASSWORD|USERS", n))
)
def test_every_secret_is_kept_as_one(name: str) -> None:
    field = next(f for f in Settings.model_fields.values() if f.alias == name)
    assert field.annotation is SecretStr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORRAL_LOCK_SECONDS", "0"),
        ("CORRAL_LOCK_SECONDS", "half a minute"),
        ("CORRAL_GRACE_SECONDS", "-1"),
        ("CORRAL_PREFIX", ""),
        ("CORRAL_PREFIX", "two words"),
        ("CORRAL_SANDBOX", "perhaps"),
        ("CORRAL_IMAGE_TARGET", "ftp"),
        ("CORRAL_KYC_COUNTRY", "Estonia"),
        ("ONFIDO_REGION", "mars"),
        ("CORRAL_ANALYTICS_SINK", "sqlite,ftp"),
        ("CORRAL_ANALYTICS_SINK", " , "),
        ("CORRAL_ANALYTICS_DAYS", "-1"),
        ("CORRAL_ANALYTICS_TABLE", "events; drop table events"),
        ("CLICKHOUSE_TABLE", "a.b.c"),
        ("POSTHOG_HOST", "eu.i.posthog.com"),
    ],
)
def test_malformed_value_names_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"^{name}: .*\.env\.example"):
        Settings.load()


def test_misspelt_name_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECOND", "5")
    with pytest.raises(
        ConfigurationError, match=r"CORRAL_LOCK_SECOND is not.*Did you mean CORRAL_LOCK_SECONDS"
    ):
        Settings.load()


def test_misspelt_name_in_the_file(empty_environment: Path) -> None:
    (empty_environment / ".env").write_text("# CORRAL_IN_A_COMMENT=1\nCORRAL_PREFX=mine\n")
    with pytest.raises(ConfigurationError, match=r"CORRAL_PREFX in \.env is not.*Did you mean CORRAL_PREFIX"):
        Settings.load()


def test_case_does_not_hide_a_misspelling(empty_environment: Path) -> None:
    (empty_environment / ".env").write_text("corral_prefix=mine\n")
    assert Settings.load().prefix == "mine"
    with pytest.raises(ConfigurationError, match="Did you mean CORRAL_PREFIX"):
        check_names({"corral_prefx": "mine"})


def test_value_of_a_misspelt_secret_is_not_told(empty_environment: Path) -> None:
    (empty_environment / ".env").write_text("CORRAL_API_KEY=edge:s3cret:enqueue\n")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert "s3cret" not in str(caught.value)
    assert "CORRAL_API_KEYS" in str(caught.value)


def test_far_name_points_to_the_list() -> None:
    with pytest.raises(ConfigurationError, match=r"CORRAL_XYZZY_QQ is not.*\.env\.example"):
        check_names({"CORRAL_XYZZY_QQ": "1"})


def test_foreign_names_are_left_alone() -> None:
    check_names({"PATH": "/usr/bin", "REDIS_URI": "x", "TWILIO_ACCOUNT_SID": "x"})


def example_settings() -> list[tuple[str, str]]:
    return [
        (match[1], match[2]) for line in EXAMPLE.read_text().splitlines() if (match := SETTING.match(line))
    ]


def test_example_lists_exactly_the_known_names() -> None:
    names = [name for name, _ in example_settings()]
    assert sorted(names) == sorted(known_names())


def test_example_explains_each_name_in_a_line_before_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    unexplained = [
        line
        for before, line in pairwise(lines)
        if SETTING.match(line) and (not re.match(r"# \w.*[.:]", before) or SETTING.match(before))
    ]
    assert unexplained == []


def test_example_shows_the_defaults(empty_environment: Path) -> None:
    defaults = Settings.load()
    (empty_environment / ".env").write_text(
        "".join(f"{name}={value}\n" for name, value in example_settings())
    )
    assert Settings.load() == defaults


def test_example_as_it_is_sets_nothing() -> None:
    assert [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")] == []
