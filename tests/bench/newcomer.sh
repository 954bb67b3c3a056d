#!/usr/bin/env bash
# Measures the README's commands from a clean checkout: the first plan, then the build of the tests, and `cargo install`. First with cargo's
# downloads, then without.
#
#   tests/bench/newcomer.sh
#
# Takes 15 minutes on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet . "$work/riskform"
cd "$work/riskform"

timed() {
    local what=$1 started=$SECONDS
    shift
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    printf '%-40s %4d s\n' "$what" $((SECONDS - started))
}

for registry in warm cold; do
    [[ $registry == warm ]] || export CARGO_HOME=$work/cargo
    rm -rf target .riskform
    timed "first plan, $registry registry" cargo run -- apply examples/quickstart.yaml --sandbox --auto-approve
    timed "cargo test, built on top of it" cargo test --no-run
    rm -rf target
    timed "cargo install, $registry registry" cargo install --locked --path . --root "$work/root" --force
done
