#!/bin/sh
# Makes a cluster with the roles of this cell, installs its configuration, and starts the server. Its log is /made/log/server.log.
set -eu
umask 077
export PATH=/usr/lib/postgresql/{{.Server}}/bin:$PATH KRB5_CONFIG=/pgam/krb5.conf KRB5RCACHENAME=none: LC_ALL=C
trap '[ $? = 0 ] || touch /made/failed' EXIT
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
admin() { as_postgres psql -X -q -v ON_ERROR_STOP=1 -h /pgam/sock -U postgres -d postgres "$@"; }
start() { as_postgres pg_ctl -D /pgam/data -w -s -l /made/log/server.log -o "$(cat /pack/server/arguments)" start; }
stop() { as_postgres pg_ctl -D /pgam/data -w -s -m fast stop; }
install_files() { # FOLDER
    rm -rf /pgam/conf
    cp -R "$1" /pgam/conf
    chown -R postgres:postgres /pgam/conf
    chmod -R u=rwX,go= /pgam/conf
}

for realm in{{range $i, $r := .Realms}} {{$i}}{{end}}; do
    until [ -e /made/realm-$realm.ready ]; do
        [ ! -e /made/failed ]
        sleep 0.2
    done
done
cat /pack/server/passwd >>/etc/passwd
cp /pack/server/krb5.conf /pgam/krb5.conf
chmod 644 /pgam/krb5.conf
cp -R /made/pki/server {{.ServerDir}}
{{with .Keytab}}cp /made/realm-0/{{.}}.keytab {{$.ServerDir}}/{{.}}.keytab
{{end}}mkdir -p /pgam/data /made/log
chown -R postgres:postgres {{.ServerDir}} /pgam/data /made/log
cd /pgam/data
as_postgres initdb --pgdata=/pgam/data --auth=reject --encoding=UTF8 --locale=C --username=postgres --no-sync >/dev/null

# Roles and databases, while rules are in force that let in the superuser alone.
install_files /pack/server/conf
rm -rf /pgam/conf/*
cp /pack/server/conf/postgresql.conf /pgam/conf/
echo 'local all postgres trust' >/pgam/conf/pg_hba.conf
: >/pgam/conf/pg_ident.conf
chown postgres:postgres /pgam/conf/*
start
sed "s/{{.Password}}/$(cat /made/pki/client/password)/" /pack/server/roles.sql | admin
stop

{{if eq .Load "reload" -}}
# The rules are loaded by a reload, as in the cell. The postmaster does one thing at a time: once it has taken a connection, it has reloaded.
install_files /pack/server/before
start
install_files /pack/server/conf
as_postgres pg_ctl -D /pgam/data -s reload
until grep -q 'received SIGHUP, reloading configuration files' /made/log/server.log; do sleep 0.1; done
psql -X -w -h 127.0.0.1 -U nobody -d postgres -c 'SELECT 1' >/dev/null 2>&1 || true
{{- else -}}
install_files /pack/server/conf
{{if eq .Load "restart"}}start || echo 'the server does not start with these rules; the attempt is made all the same'{{else}}start || { tail -n 20 /made/log/server.log; exit 1; }{{end}}
{{- end}}
touch /made/server.ready
trap - EXIT
tail -n +1 -F /made/log/server.log | grep --line-buffered -v '|DEBUG'
