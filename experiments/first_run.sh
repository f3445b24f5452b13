#!/usr/bin/env bash
# The chain on real pictures, as docs/first-run.md tells it.
#
#   experiments/first_run.sh DATA OUT
#
# DATA holds photos/ (clothing photographs, a folder a class), figures/ (people) and
# prints/lane_arabian_nights_harvey_34206/ (wood engravings); OUT is made.
set -euo pipefail
data=$(realpath "$1")
mkdir -p "$2"
cd "$2"
gravurekit crawl --source "folder:$data/photos" --source "folder:$data/figures"
gravurekit filter
gravurekit stylize --style cartoon  # as it was when docs/first-run.md was written
gravurekit shard --size 128
gravurekit train --head average --steps 400
plates=("$data"/prints/lane_arabian_nights_harvey_34206/*)
chosen=()
for n in 0 17 34 51 68 85 102 119 136 153; do chosen+=("${plates[$n]}"); done
gravurekit colorize "${chosen[@]}" --panel
