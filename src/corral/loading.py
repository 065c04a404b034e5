"""From `package.module:name`, in a setting or on a command line, to what it names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from corral.errors import ConfigurationError


def load(target: str, *, like: str) -> Any:
    """What `target` names; its module is imported, from the working directory too.

    like: an example for the message. Raises ConfigurationError if there is no such module or name, and
    whatever the import itself raises.
    """
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"{target!r}: write package.module:name, for example {like}.")
    # The command may be installed anywhere; what it runs lies where the user stands.
    if os.getcwd() not in sys.path:  # noqa: PTH109  # sys.path holds strings
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as above
    try:
        value: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"{target!r}: there is no module {error.name!r} in {os.getcwd()} or on Python's path. "  # noqa: PTH109
                "Start it in the folder that holds the module, or set PYTHONPATH to that folder."
            ) from error
        raise
    except AttributeError as error:
        raise ConfigurationError(f"{target!r}: {error}.") from error
    return value
