#!/usr/bin/env bash
# Measures whole runs over loopback and the simplest program that does the same work: /bin/true, curl, wrk, or the ideal time.
#
#   tests/bench/wire.sh [start] [plan] [fleet] [apply]      all four if there is no argument
#
# Needs the Debian packages curl, hyperfine, jq, time and wrk. Measures the dist profile, or the program in RISKFORM. RUNS is the number of runs
# of each command (5). Prints medians and their ratios; noise affects both sides alike.
set -euo pipefail
cd "$(dirname "$0")/../.."

runs=${RUNS:-5}
directory=$(mktemp -d)
server=
trap 'stop_server; rm -rf "$directory"' EXIT

main() {
    if [[ -z ${RISKFORM:-} ]]; then
        cargo build --locked --quiet --profile dist
        RISKFORM=target/dist/riskform
    fi
    riskform=$(realpath "$RISKFORM")
    for group in "${@:-start plan fleet apply}"; do
        for one in $group; do "measure_$one"; done
    done
}

# --- measurements

measure_start() {
    cp examples/quickstart.yaml "$directory/one.yaml"
    runs=100 medians /bin/true "$riskform --version" "$riskform validate $directory/one.yaml"
    row 'riskform --version' '/bin/true' "${median[1]}" "${median[0]}" "$(memory "$riskform" --version)"
    row 'validate, one file' '/bin/true' "${median[2]}" "${median[0]}" "$(memory "$riskform" validate "$directory/one.yaml")"
}

measure_plan() {
    serve
    for count in 10 100 1000; do
        local account file
        account=$(printf '%032x' "$count")
        file=$directory/plan-$count.yaml
        integrations "$account" "$count" >"$file"
        "$riskform" apply "$file" --auto-approve --quiet >"$directory/applied"
        runs=20 medians "$riskform plan $file" \
            "curl --parallel --fail --silent --compressed --header '$authorization'
                --output /dev/null $(path "$account" behaviors) --output /dev/null $(path "$account" integrations)"
        row "plan, $count integrations" 'curl, the same two GETs' "${median[0]}" "${median[1]}" \
            "$(memory "$riskform" plan "$file")"
    done
}

measure_fleet() {
    local parallelism=32 count latency ideal
    for count in 100 1000 10000; do fleet "$count"; done
    for latency in 0 20 50; do
        serve "$latency"
        # The two reads of an account run concurrently.
        local per_second
        per_second=$(wrk --threads 1 --connections $((2 * parallelism)) --duration 5s --header "$authorization" \
            "$(path "$(printf '%032x' 1)" behaviors)" | awk '/^Requests\/sec/ { print $2 }')
        for count in 100 1000 10000; do
            local drift=("$riskform" drift --parallelism "$parallelism" "$directory/fleet-$count") kib
            medians "${drift[*]}"
            kib=$(memory "${drift[@]}")
            row "drift, $count accounts, $latency ms" "wrk, $((2 * count)) GETs" "${median[0]}" \
                "$(calculate "2 * $count / $per_second")" "$kib"
            ideal=$(calculate "$count / $parallelism * $latency / 1000")
            if ((latency > 0)); then
                row "drift, $count accounts, $latency ms" 'the ideal' "${median[0]}" "$ideal" "$kib"
            fi
        done
    done
}

# The ideal time: both reads, the behaviors together with the list, the creates ten at a time, then the list and the reads to verify.
measure_apply() {
    local account file latency ideal
    account=$(printf '%032x' 100)
    file=$directory/apply.yaml
    integrations "$account" 100 >"$file"
    for latency in 0 50; do
        serve "$latency"
        curl_creates "$account" 100 >"$directory/curl"
        local undo="$riskform destroy $file --auto-approve --quiet --max-deletes 100 --allow-delete-all" kib
        prepare=$undo medians "$riskform apply $file --auto-approve --quiet" "curl --config $directory/curl"
        $undo >"$directory/destroyed"
        kib=$(memory "$riskform" apply "$file" --auto-approve --quiet)
        $undo >"$directory/destroyed"
        row "apply, 100 creates, $latency ms" 'curl, 100 POSTs on one connection' "${median[0]}" "${median[1]}" "$kib"
        if ((latency > 0)); then
            ideal=$(calculate "(1 + 2 + 100 / 10 + 1 + 1) * $latency / 1000")
            row "apply, 100 creates, $latency ms" 'the ideal' "${median[0]}" "$ideal" "$kib"
        fi
    done
}

# --- measuring

# Runs each command and stores the median seconds of each in the array `median`.
medians() {
    local options=(--shell none --warmup 1 --runs "$runs" --export-json "$directory/hyperfine" --style none)
    if [[ -n ${prepare:-} ]]; then options+=(--prepare "$prepare"); fi
    hyperfine "${options[@]}" "$@" >"$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
    mapfile -t median < <(jq '.results[].median' "$directory/hyperfine")
}

# Prints the peak memory of a command in KiB.
memory() {
    /usr/bin/time --format %M --output "$directory/memory" "$@" >"$directory/log" 2>&1
    tail -n 1 "$directory/memory"
}

# row COMMAND COMPARISON SECONDS COMPARISON_SECONDS KIB
row() {
    printf '%-50s %9.1f ms   %-36s %9.1f ms   ×%-7.2f %4d MB\n' "$1" "$(calculate "$3 * 1000")" "$2" \
        "$(calculate "$4 * 1000")" "$(calculate "$3 / $4")" "$(($5 / 1024))"
}

calculate() { awk "BEGIN { printf \"%.6f\", $1 }"; }

# --- the simulated API

# serve [MILLISECONDS [FLAG]...]: starts the simulated API without a rate limit and with this latency.
serve() {
    stop_server
    local options=(--rate-limit off "${@:2}")
    if ((${1:-0} > 0)); then options+=(--latency "$(calculate "$1 / 1000")"); fi
    mkfifo "$directory/address"
    "$riskform" sandbox "${options[@]}" >"$directory/address" 2>"$directory/server-log" &
    server=$!
    while IFS='=' read -r name value; do
        name=${name#export }
        if [[ $name != CLOUDFLARE_ACCOUNT_ID ]]; then export "$name=$value"; fi
    done < <(head -n 3 "$directory/address")
    rm "$directory/address"
    authorization="Authorization: Bearer $CLOUDFLARE_API_TOKEN"
}

stop_server() {
    if [[ -n $server ]]; then
        kill "$server" || true
        wait "$server" || true
        server=
    fi
}

path() { echo "$CLOUDFLARE_BASE_URL/accounts/$1/zt_risk_scoring/$2"; }

# --- input files

# integrations ACCOUNT COUNT: prints a file with COUNT integrations.
integrations() {
    printf 'version: 1\naccount_id: %s\nbehaviors:\n  imp_travel: { enabled: true }\nunlisted: { integrations: keep }\nintegrations:\n' "$1"
    for ((index = 0; index < $2; index++)); do
        printf '  okta-%d: { tenant_url: "https://tenant-%d.okta.com", reference_id: 00000000-0000-4000-8000-%012x }\n' "$index" "$index" "$index"
    done
}

# fleet COUNT: writes a directory of files for accounts without drift.
fleet() {
    mkdir "$directory/fleet-$1"
    for ((index = 0; index < $1; index++)); do
        printf 'version: 1\naccount_id: %032x\nname: account-%d\nbehaviors:\n  imp_travel: { enabled: true, risk_level: high }\nunlisted: { integrations: keep }\n' \
            "$index" "$index" >"$directory/fleet-$1/$index.yaml"
    done
}

# curl_creates ACCOUNT COUNT: prints a `curl --config` file that creates the same integrations.
curl_creates() {
    for ((index = 0; index < $2; index++)); do
        if ((index > 0)); then echo next; fi
        printf 'url = "%s"\nheader = "%s"\n' "$(path "$1" integrations)" "$authorization"
        printf 'fail\nsilent\noutput = "/dev/null"\nheader = "Content-Type: application/json"\n'
        printf 'data = "{\\"integration_type\\": \\"Okta\\", \\"tenant_url\\": \\"https://tenant-%d.okta.com\\", \\"reference_id\\": \\"reference-%d\\"}"\n' \
            "$index" "$index"
    done
}

main "$@"
