#!/usr/bin/env bash
# bench/gpu.sh SECONDS [FOLDER]: after `npm run build`, on a machine with an NVIDIA GPU, the tests of `cuda` and each part of its
# benchmark, one after the other, in so much time at most. A part has at most half of what is left, the last one all of it. What a part
# measured is in FOLDER (default: runs/gpu) when it ends, as PART.json, and what it said in PART.log, whatever becomes of later ones.
set -uo pipefail
cd "$(dirname "$0")/.."

end=$((SECONDS + ${1:?usage: bench/gpu.sh SECONDS [FOLDER]}))
folder=${2:-runs/gpu}
mkdir -p "$folder"
rm -f "$folder"/{tests,matmul,step,dag}.{json,log}

part() {
  local name=$1 seconds=$2 begun=$SECONDS status
  shift 2
  ((seconds > 0)) || { echo "$name: no time left"; return; }
  timeout --kill-after=5 "$seconds" "$@" 2>"$folder/$name.log" >"$folder/$name.part"
  status=$?
  # A part that was ended has printed nothing; the tests have written their file themselves.
  [[ -s $folder/$name.part ]] && mv --no-clobber "$folder/$name.part" "$folder/$name.json"
  rm -f "$folder/$name.part"
  echo "$name: status $status after $((SECONDS - begun)) s"
}
half() { echo $(((end - SECONDS) / 2)); }

part tests "$(half)" npm run --silent test:cuda -- --json --outputFile="$folder/tests.json"
part matmul "$(half)" npm run --silent bench:cuda -- matmul
part step "$(half)" npm run --silent bench:cuda -- step
part dag $((end - SECONDS)) npm run --silent bench:cuda -- dag
