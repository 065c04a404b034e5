#!/usr/bin/env bash
# Builds the dashboard's pages from ui/ into src/corral/dashboard/static, with the Node of tools/node.sh.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
echo "setup: building the dashboard's pages"
"$root/tools/node.sh" npm ci --prefix "$root/ui" --silent
"$root/tools/node.sh" npm run build --prefix "$root/ui" --silent > "$root/ui/node_modules/.build.log" 2>&1 || {
    cat "$root/ui/node_modules/.build.log" >&2
    exit 1
}
