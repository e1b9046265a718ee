# A shard of the night: the pod's index, which counts from 0, is the shard's, which counts from 1.
set -eu
shard=$((JOB_COMPLETION_INDEX + 1))
night=${RESULTS:-/results}/${JOB_NAME##*-}
mkdir -p "$night/shards/$shard" "$night/given-up"
run=
# The shell is the container's first process: it passes on the signal with which Kubernetes ends the pod.
trap 'if [ -n "$run" ]; then kill -TERM $run; fi' TERM
try() {
  pgauthmatrix run "$@" &
  run=$!
  status=0
  wait $run || status=$?
  if [ $status -gt 128 ] && kill -0 $run 2>/dev/null; then # the signal ended the wait, not the run
    status=0
    wait $run || status=$?
  fi
}
status=
last=
for old in "$night/shards/$shard"/*/; do
  if [ ! -d "$old" ]; then continue; fi
  # An earlier pod of this index was here. If it was killed, its run goes on.
  last=yes
  try --resume "$old"
  if [ $status -ne 2 ]; then break; fi
  # It ended, with Broken cells, or cannot go on: it stays to be looked at, and is not merged.
  mv "$old" "$night/given-up/"
  status=
done
if [ -z "$status" ]; then try --strength 3 --shard "$shard/$SHARDS" --runs "$night/shards/$shard"; fi
# Status 4, nothing found but something Broken, is tried once more by another pod (podFailurePolicy); the merge waits for that one.
if [ $status -ne 4 ] || [ -n "$last" ]; then echo $status >"$night/shards/$shard/ended"; fi
exit $status
