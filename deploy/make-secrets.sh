#!/bin/sh
# Makes the secrets that compose.yaml mounts, in the folder `secrets` beside this file. What is there already is
# kept, so it can be run again; a secret is replaced by deleting its file first.
#
#     deploy/make-secrets.sh            # then: docker compose up
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
