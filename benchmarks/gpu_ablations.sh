#!/bin/bash
# Rows of the ablations side by side on a machine with one GPU that is lent for minutes.
#
#     bash benchmarks/gpu_ablations.sh PYTHON OUT SECONDS [SEED] [ROW:SIZE:LABELS ...]
#
# PYTHON runs realm_tf there (`gpu_bundle.py`). OUT gets results.tar.gz, made anew every half
# minute and at the end: results, logs, curves, evaluations, what the card did; and, if time is
# left, the models in parts of 15 MB (`cat models.* | tar xJ`). After SECONDS all has ended.
# Each row is a process; who needs a stage that another makes waits for it. By itself on an
# H100, one sees 3,200 sentences a second (BERT-tiny, K = 8, compiled: half a minute of
# compiling first), so that `gpu` takes some 4 minutes and `gpu_quarter` 2; several share that,
# and more than three or four hinder each other. DATA (data/wiki26k) and WORKDIR (runs/gpu) are
# folders; a pack of both, made by
#
#     tar cJ data/weights/bert-tiny data/wiki26k runs/gpu/corpus-* > ablations.tar.xz
#
# spares cutting the corpus there.
set -u
python=$1 out=$2 seconds=$3 seed=${4:-0}
shift $(($# < 4 ? $# : 4))
end=$(($(date +%s) + seconds))
[ $# -gt 0 ] || set -- ict,realm:gpu_quarter:0,128 slow_retriever:gpu_quarter:0,128 \
  together:gpu_quarter:0,128
data=${DATA:-data/wiki26k} workdir=${WORKDIR:-runs/gpu}
mkdir -p "$out" "$workdir"
record=$workdir/record
mkdir -p "$record"
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-1} TF_GPU_THREAD_MODE=gpu_private
export PYTHONPATH=$PWD TF_USE_LEGACY_KERAS=1  # where PYTHON is none of a bundle

nvidia-smi --query-gpu=timestamp,name,utilization.gpu,utilization.memory,memory.used,power.draw \
  --format=csv --loop=5 > "$record/card.csv" 2> /dev/null &
card=$!

pids=
for row in "$@"; do
  IFS=: read -r name size labels <<< "$row"
  timeout -s TERM -k 10 $((seconds > 40 ? seconds - 25 : seconds)) \
    "$python" benchmarks/ablations.py --rows="$name" --size="$size" --labels="$labels" \
    --seeds="$seed" --data="$data" --workdir="$workdir" \
    --results="$record/ablations.json" > "$record/$name-$size-$seed.log" 2>&1 &
  pids="$pids $!"
done

keep() {
  (cd "$workdir" && find . -maxdepth 3 \( -path './record/*' -o -name curves.csv \
    -o -name done.json -o -name settings.json -o -name config.json -o -name measured.json -o -name examples.jsonl \
    -o -path '*/evaluation/*' \) -type f -print0 |
    tar cz --null -T - 2> /dev/null) > "$out/.results"  # 1 where a file was being written
  mv "$out/.results" "$out/results.tar.gz"
}

while sleep 1; do
  alive=
  for pid in $pids; do kill -0 "$pid" 2> /dev/null && alive=1; done
  now=$(date +%s)
  [ -n "$alive" ] && [ "$now" -lt $((end - 12)) ] || break
  [ $((now % 30)) -ne 0 ] || keep
done
keep
(cd "$workdir" && find . -path './ict-*/ict/model' -o -path './pretrain-*/pretrain/model' |
  timeout 20 tar cf - -T - | timeout 20 xz -1 -T0) | split -d -b 15000000 - "$out/models."
rm -f "$out"/models.0[7-9] "$out"/models.[1-9]*  # no more than eight files are taken back
for pid in $pids $card; do kill "$pid" 2> /dev/null; done
ls -l "$out"
