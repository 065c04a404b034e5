#!/usr/bin/env bash
# Runs a command with prometheus and promtool on its PATH:
#
#     tools/prometheus.sh promtool check rules deploy/prometheus/rules.yml
#
# Those on PATH win. Without them Debian's package is fetched once and unpacked into .venv/prometheus, which needs
# no root; nothing of the system is changed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
home="$root/.venv/prometheus"
bin="$home/usr/bin"

provide() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "prometheus: put prometheus and promtool on PATH; there is no apt-get here to fetch Debian's package" >&2
        return 1
    fi
    local draft
    draft=$(mktemp -d "$home.XXXXXX")
    cd "$draft"
    # A machine that has never looked has no list of packages; root can get one.
    apt-get -q download prometheus || { apt-get -q update && apt-get -q download prometheus; }
    dpkg-deb -x prometheus_*.deb .
    rm prometheus_*.deb
    rm -rf "$home"
    mv "$draft" "$home"
}

if ! { command -v prometheus && command -v promtool; } >/dev/null; then
    if ! [ -x "$bin/promtool" ]; then
        echo "prometheus: not on PATH; fetching Debian's package into .venv" >&2
        (provide) >&2
    fi
    export PATH="$bin:$PATH"
fi
exec "$@"
