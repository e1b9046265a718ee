# Waits until every shard of the night has ended, and merges them. The pod's deadline ends a wait for shards that do not come.
set -eu
results=${RESULTS:-/results}
id=${JOB_NAME##*-}
shard=1
while [ $shard -le "$SHARDS" ]; do
  until [ -e "$results/$id/shards/$shard/ended" ]; do sleep 10; done
  shard=$((shard + 1))
done
set -- "$results/$id"/shards/*/*/
if [ -e "$results/green" ]; then set -- "$@" --baseline "$results/green"; fi
status=0
pgauthmatrix merge "$@" --history "$results/history.jsonl" --output "$results/$id/merged" || status=$?
if [ $status -eq 0 ]; then ln -sfn "$id/merged" "$results/green"; fi
exit $status
