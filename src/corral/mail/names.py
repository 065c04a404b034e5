"""What a template may be called: apart from the templates, for who only checks a job's data."""

from __future__ import annotations

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
