"""The list of commands, which `corral --help` shows without importing any of them."""

from __future__ import annotations

import inspect

import pytest

from corral.cli import app
from corral.cli.commands import COMMANDS, Command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_list_says_what_the_command_says(command: Command) -> None:
    found = app[command.name]
    function = found.default_command
    said = found.help if ":app" in command.place else (inspect.getdoc(function) or "").partition("\n")[0]
    assert said == command.help
