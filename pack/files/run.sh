#!/bin/sh
# Reproduces the cell of this archive with nothing but docker: builds or loads the images, starts a KDC, a server and a client in a network of their
# own, makes the attempt, compares, and removes everything again. Ends with 0 if the outcome is as predicted, with 1 if not, with 2 if it could not be
# tried.
#
#   ./run.sh           all of that
#   ./run.sh --keep    leaves the containers running and says how to look around and how to remove them
set -eu
cd "$(dirname "$0")"
keep=
case $#:${1-} in
0:) ;;
1:--keep) keep=yes ;;
*) echo "usage: ./run.sh [--keep]" >&2; exit 2 ;;
esac
docker version >/dev/null 2>&1 || { echo "no Docker engine answers: docker version" >&2; exit 2; }

{{range .Images}}if ! docker image inspect {{.Tag}} >/dev/null 2>&1; then
    if [ -e images.tar ]; then
        docker load -q -i images.tar
    else
        echo "building {{.Tag}} on {{.Base}}"
        docker build -q -t {{.Tag}} images/{{.Name}} || { echo "the image could not be built; with pack --with-images the archive has it" >&2; exit 2; }
    fi
fi
{{end}}
name=pgam-pack-$$
remove() {
    docker rm -f -v $(docker ps -aq --filter "label=$name") >/dev/null 2>&1 || true
    docker volume rm $name-made $name-sock >/dev/null 2>&1 || true
    docker network rm $name >/dev/null 2>&1 || true
}
trap remove EXIT
trap 'exit 2' INT TERM
docker network create $name >/dev/null
docker volume create $name-made >/dev/null
docker volume create $name-sock >/dev/null

start() { # CONTAINER IMAGE OPTION... -- SCRIPT [ARGUMENT...]
    container=$name-$1 image=$2
    shift 2
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    # The archive is copied, not mounted: the engine may be on another machine.
    docker create --init --name "$container" --label "$name" --network $name -v $name-made:/made -v $name-sock:/pgam/sock $options --entrypoint sh "$image" "$@" >/dev/null
    docker cp -q . "$container:/pack" 2>/dev/null || docker cp . "$container:/pack"
    docker start "$container" >/dev/null
}
{{range $i, $r := .Realms}}start kdc-{{$i}} {{$.KDCImage}} --network-alias kdc-{{$i}} -- /pack/kdc/start.sh {{$i}}
{{end}}start server {{.ServerImage}} --hostname {{.Host}} --network-alias {{.Host}} -- /pack/server/start.sh
start client {{.ClientImage}}{{with .DeadHost}} --add-host {{.}}:127.0.0.1{{end}} -- -c 'exec sleep infinity'

status=0
docker exec $name-client sh /pack/client/attempt.sh || status=$?
if [ $status -gt 1 ]; then
    for container in {{range $i, $r := .Realms}}kdc-{{$i}} {{end}}server; do
        echo "the end of what $container says:" >&2
        docker logs --tail 30 $name-$container >&2
    done
fi
if [ "$keep" ]; then
    trap - EXIT
    cat <<END

The containers run on.
  docker exec -it $name-client bash --rcfile /pack/client/profile -i    a shell; sh /pack/client/psql.sh is the attempt as a session
  docker exec -it $name-server bash                                      configuration in /pgam/conf
  docker logs -f $name-server                                            the server's log; -kdc-0 is the KDC's
  docker rm -f -v \$(docker ps -aq --filter label=$name); docker volume rm $name-made $name-sock; docker network rm $name
END
fi
exit $status
