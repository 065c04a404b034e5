#!/bin/sh
# Makes the secrets that compose.yaml mounts, in the folder `secrets` beside this file. What is there already is
# kept, so it can be run again; a secret is replaced by deleting its file first.
#
#     deploy/make-secrets.sh            # then: docker compose up
#
# The dashboard gets a user `operator` with the role admin. Its password is shown once: the file holds its hash,
# which Corral makes, the one that is installed here (CORRAL names another: CORRAL=.venv/bin/corral), or else the
# one in the image, with docker or podman: build that first. With neither, all else is made and the script says so.
#
# Compose mounts a secret file with the owner and mode that it has here. The containers read it as group 10001:
# run by root, the files belong to that group and nobody else can read them. Otherwise they are readable by
# all who can enter the folder, which is its owner alone (and Corral says so in its log once a start).
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 0700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# $1: file; standard input: its content.
keep() {
    if [ ! -s "secrets/$1" ]; then
        cat > "secrets/$1"
        echo "made secrets/$1"
    fi
    chgrp 10001 "secrets/$1" 2>/dev/null && chmod 0440 "secrets/$1" || chmod 0444 "secrets/$1"
}

random | keep redis_password
random | keep metrics_key
random | keep grafana_password
# name:secret:role,… The scraper's key is one of them.
printf 'ops:%s:admin,metrics:%s:read' "$(random)" "$(cat secrets/metrics_key)" | keep api_keys

# The hash of the password on standard input. Nothing but Corral is started, and without a network.
hash_password() {
    if command -v "${CORRAL:-corral}" > /dev/null; then
        "${CORRAL:-corral}" dashboard password
        return
    fi
    image=${IMAGE:-$(sed -n 's/^IMAGE=//p' .env 2> /dev/null || true)}
    image=${image:-corral:0.1.0}
    for engine in docker podman; do
        if "$engine" image inspect "$image" > /dev/null 2>&1; then
            "$engine" run --rm --interactive --network none "$image" dashboard password
            return
        fi
    done
    echo "No user for the dashboard yet: there is neither a corral on PATH nor the image $image." >&2
    echo "Build it (docker compose -f deploy/compose.yaml build), then run this again." >&2
    return 1
}

if [ ! -s secrets/dashboard_users ]; then
    password=$(random)
    hash=$(printf '%s\n' "$password" | hash_password)
    printf 'operator:%s:admin' "$hash" | keep dashboard_users
    echo "The dashboard: sign in as operator with $password (shown this once)"
else
    keep dashboard_users < /dev/null
fi
