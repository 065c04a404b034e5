#!/usr/bin/env bash
# Runs a command with chromium on its PATH:
#
#     tools/chromium.sh .venv/bin/python -m pytest tests/browser
#
# The one on PATH wins. Without it Debian's package, and what it needs and this machine lacks, are fetched once and
# unpacked into .venv/chromium, which needs no root; nothing of the system is changed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
home="$root/.venv/chromium"

# Names of the packages that an installation would bring.
wanted() {
    apt-get -q ${CHROMIUM_APT_OPTIONS:-} --simulate --no-install-recommends install chromium | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

provide() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "chromium: put chromium on PATH; there is no apt-get here to fetch Debian's package" >&2
        return 1
    fi
    local draft packages libraries
    draft=$(mktemp -d "$home.XXXXXX")
    cd "$draft"
    # A machine that has never looked has no list of packages; root can get one.
    packages=$(wanted) || { apt-get -q update && packages=$(wanted); }
    # shellcheck disable=SC2086
    apt-get -q download $packages
    for package in *.deb; do dpkg-deb -x "$package" .; done
    rm ./*.deb
    libraries=$(dirname "$(find usr/lib -name 'libnss3.so' -print -quit)" 2>/dev/null)
    mkdir bin
    cat >bin/chromium <<END
#!/bin/sh
export LD_LIBRARY_PATH="$home/${libraries:-usr/lib}:\${LD_LIBRARY_PATH:-}"
exec "$home/usr/lib/chromium/chromium" "\$@"
END
    chmod +x bin/chromium
    rm -rf "$home"
    mv "$draft" "$home"
}

if ! command -v chromium >/dev/null; then
    if ! [ -x "$home/bin/chromium" ]; then
        echo "chromium: not on PATH; fetching Debian's package into .venv" >&2
        (provide) >&2
    fi
    export PATH="$home/bin:$PATH"
fi
exec "$@"
