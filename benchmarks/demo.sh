#!/bin/sh
# Time bin/demo: prints the medians (smallest to largest) of the whole run and of how long its hosts take to be up.
#
#   sudo benchmarks/demo.sh [ROUNDS]
set -eu

demo=$(dirname -- "$(readlink -f -- "$0")")/../bin/demo

main() {
    rounds=${1:-5}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for _ in $(seq "$rounds"); do
        began=$(date +%s%N)
        "$demo" >"$work/story" || { tail -n 5 "$work/story" >&2 && exit 1; }
        printf '%s\n' $(($(date +%s%N) - began)) >>"$work/whole"
        sed -n 's/^ *They are up after \([0-9.]*\) s\.$/\1/p' "$work/story" >>"$work/up"
    done
    printf '%s rounds, medians (smallest to largest)\n' "$rounds"
    report 'bin/demo' 1000000000 "$work/whole"
    report 'hosts up' 1 "$work/up"
}

# The name $1, and of the numbers in the file $3, each one divided by $2, the median and both ends.
report() {
    sort -n "$3" | awk -v name="$1" -v unit="$2" '
        { value[NR] = $1 / unit }
        END {
            if (!NR) exit
            median = (value[int((NR + 1) / 2)] + value[int((NR + 2) / 2)]) / 2
            printf "%-10s %5.1f s (%.1f to %.1f)\n", name, median, value[1], value[NR]
        }'
}

main "$@"
