#!/bin/sh
# The attempt: psql with the connection string of the cell. Further arguments are psql's.
. /pack/client/profile
exec {{with .UID}}setpriv --reuid={{.}} --regid=65534 --clear-groups {{end}}psql -X -w "$@" -d {{.Conninfo}}
