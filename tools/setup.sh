#!/usr/bin/env bash
# Makes .venv from nothing but a Python 3.11 or newer: pinned packages checked by hash, then this package
# itself, editable. `make setup` runs it when pyproject.toml, a lock or this file is newer than the stamp,
# or when the folder has moved. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
cd "$(pwd -P)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

recent='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$name" >/dev/null && "$name" -c "$recent" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "setup: Corral needs Python 3.11 or newer${PYTHON:+; PYTHON=$PYTHON is $("$PYTHON" --version 2>/dev/null || echo not there)}." >&2
    echo "       Install it (Debian: apt install python3 python3-venv) and run make again." >&2
    return 1
}

# Whether .venv is there, runs, and was made in this folder (its commands name their folder in line 1).
usable() {
    .venv/bin/python -c "$recent" 2>/dev/null && .venv/bin/python -m pip --version >/dev/null 2>&1 &&
        [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)')" = "$PWD/.venv" ] &&
        head -n 1 .venv/bin/pip | grep -qF "$PWD/.venv/"
}

rm -f .venv/.setup
if ! usable; then
    python=$(find_python)
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "setup: $python cannot make a virtual environment. On Debian: apt install python3-venv" >&2
        exit 1
    fi
fi

pip() { .venv/bin/python -m pip --quiet "$@"; }
echo "setup: installing packages"
pip install --require-hashes -r requirements-build.lock
# No build isolation: what a source release is built with is the pinned set from the line above.
pip install --require-hashes --no-build-isolation -r requirements.lock
pip install --no-deps --no-build-isolation -e .

# The stamp holds the folder's path: an editable install does not survive a move.
pwd > .venv/.setup
echo "setup: done"
