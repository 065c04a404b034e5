#!/usr/bin/env bash
# Every test, in more processes than there are cores, since half of what a process does is to wait; tests/dealing.py
# says in which order. Arguments are passed on to pytest.
#
# The suite kills servers and processes, and on a busy machine one test in thousands may run out of patience. What failed
# beside others, five tests at most, is run once more, alone: a failure there fails the whole, and what passed only then is
# named at the end, to be mended.
set -uo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
most=5

cores=$(getconf _NPROCESSORS_ONLN)
processes=$((2 * cores))
[ "$processes" -le 8 ] || processes=8 # each takes half a gigabyte

# The second run writes its report beside the first one's, as F.again: F says what failed.
again=()
for argument in "$@"; do
    case $argument in
        --junitxml=* | --junit-xml=*) again+=("$argument.again") ;;
        *) again+=("$argument") ;;
    esac
done

# Hundreds of processes are started, and each would compile the whole library anew where this is set.
unset PYTHONDONTWRITEBYTECODE

"$python" -m pytest -n "$processes" --dist loadfile --no-loadscope-reorder --cache-clear "$@"
ended=$?
[ $ended -eq 1 ] || exit $ended

failed=$("$python" -c 'import json; print(*json.load(open(".pytest_cache/v/cache/lastfailed")), sep="\n")')
if grep --quiet --invert-match :: <<<"$failed"; then # not a test, but a file or a process that could not read them
    exit 1
fi
if [ "$(wc -l <<<"$failed")" -gt $most ]; then
    exit 1
fi
printf '\nOnce more, alone:\n%s\n\n' "$failed"
"$python" -m pytest -p no:xdist --last-failed --last-failed-no-failures none "${again[@]}" || exit 1
printf '\nFailed beside others, passed alone; a test to be mended:\n%s\n' "$failed"
