# A shard of the night: the pod's index, which counts from 0, is the shard's, which counts from 1.
set -eu
shard=$((JOB_COMPLETION_INDEX + 1))
night=${RESULTS:-/results}/${JOB_NAME##*-}
mkdir -p "$night/shards/$shard" "$night/given-up"
# What an earlier pod of this index left, which was killed or had Broken cells, stays to be looked at and is not merged.
last=
for old in "$night/shards/$shard"/*/; do
  if [ -d "$old" ]; then mv "$old" "$night/given-up/"; last=yes; fi
done
# The shell is the container's first process: it passes on the signal with which Kubernetes ends the pod.
pgauthmatrix run --strength 3 --shard "$shard/$SHARDS" --runs "$night/shards/$shard" &
run=$!
trap 'kill -TERM $run' TERM
status=0
wait $run || status=$?
if [ $status -gt 128 ] && kill -0 $run 2>/dev/null; then # the signal ended the wait, not the run
  status=0
  wait $run || status=$?
fi
# Status 4, nothing found but something Broken, is tried once more by another pod (podFailurePolicy); the merge waits for that one.
if [ $status -ne 4 ] || [ -n "$last" ]; then echo $status >"$night/shards/$shard/ended"; fi
exit $status
