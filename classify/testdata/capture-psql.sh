#!/bin/bash
# Writes psql's messages and the server's log of the cases below, of the PostgreSQL of this Debian container, as in psql-13.txt and its like.
set -e
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
if ! which krb5kdc >/dev/null 2>&1 || ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
  mkdir -p /etc/postgresql-common; echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  apt-get -o Acquire::Check-Valid-Until=false -qq update >/dev/null; apt-get -qq install -y --no-install-recommends postgresql krb5-kdc krb5-admin-server krb5-user openssl >/dev/null 2>&1
fi
B=$(ls -d /usr/lib/postgresql/*/bin); V=$(basename $(dirname $B))
echo "127.0.0.1 pg.example.test kdc.example.test" >> /etc/hosts
cat > /etc/krb5.conf <<K
[libdefaults]
default_realm = EXAMPLE.TEST
dns_lookup_kdc=false
dns_lookup_realm=false
dns_canonicalize_hostname=false
rdns=false
[realms]
EXAMPLE.TEST = {
 kdc = kdc.example.test
}
K
kdb5_util create -s -P x -r EXAMPLE.TEST >/dev/null 2>&1
for p in alice bob carol; do kadmin.local -q "addprinc -pw x $p" >/dev/null 2>&1; done
for h in pg other; do kadmin.local -q "addprinc -randkey postgres/$h.example.test" >/dev/null 2>&1; done
mkdir -p /r; cd /r
kadmin.local -q "ktadd -k /r/stale.keytab postgres/pg.example.test" >/dev/null 2>&1
kadmin.local -q "ktadd -k /r/good.keytab postgres/pg.example.test" >/dev/null 2>&1
kadmin.local -q "ktadd -k /r/other.keytab postgres/other.example.test" >/dev/null 2>&1
krb5kdc
echo x | kinit -c /r/valid alice >/dev/null; echo x | kinit -l 10s -c /r/expired alice > /dev/null
for n in ca ca2; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $n.key -out $n.crt -subj /CN=$n -days 10 2>/dev/null; done
cert() { set +e; openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$2 2>/dev/null; openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days ${3:-10} -out $1.crt $4 2>/dev/null; }
cert good pg.example.test; cert wrong other.example.test; cert alice alice; cert bob bob
cert expired pg.example.test -1; [ -s expired.crt ] || openssl x509 -req -in expired.csr -CA ca.crt -CAkey ca.key -CAcreateserial -not_before 20200101000000Z -not_after 20200102000000Z -out expired.crt 2>/dev/null || true
chown -R postgres /r; chmod 600 /r/*.key
su postgres -c "$B/initdb -D /r/data -U postgres >/dev/null"
start() { # hba ssl keytab cert
 printf "$1" > /r/data/pg_hba.conf
 X=""; [ $V -ge 17 ] && X="-c trace_connection_negotiation=on"
 L="-c log_connections=on"; 
 su postgres -c "$B/pg_ctl -w -D /r/data -l /r/log start -o \"-k /tmp -c listen_addresses='*' -c logging_collector=off -c log_line_prefix='%p|%r|%e|' $L -c log_disconnections=on -c log_min_messages=warning -c ssl=$2 -c krb_server_keyfile=/r/$3.keytab -c ssl_cert_file=/r/$4.crt -c ssl_key_file=/r/$4.key -c ssl_ca_file=/r/ca.crt $X\"" >/dev/null
 : > /r/log
}
stop() { su postgres -c "$B/pg_ctl -w -m immediate -D /r/data stop" >/dev/null; }
try() { # title cc conninfo
 echo "### [$V] $1"; : > /r/log
 KRB5CCNAME=FILE:/r/$2 $B/psql -X -w -At -c 'select 1' "host=pg.example.test user=alice dbname=postgres $3" 2>&1 | sed 's/^/C: /'
 sleep 0.15; sed 's/^/S: /' /r/log
}
start 'local all postgres trust\nhost all all all trust\n' on good good
su postgres -c "$B/psql -h /tmp -c 'create role alice login' -c 'create role bob login' -c 'create role nologin' -c \"create role pw login password 'x'\" -qc 'create database locked' -c 'revoke connect on database locked from public'" >/dev/null
stop
start 'hostgssenc all alice all gss include_realm=0\nhostssl all alice all trust\nhostgssenc all nologin all trust\nhost all nobody,nologin all trust\nhost all pw all scram-sha-256\nhost all bob all reject\nlocal all all peer\n' on good good
sleep 8; try "gss enc" valid ""
try "tls" none ""
try "tls expired prefer" expired ""
sleep 3
try "expired require" expired "gssencmode=require"
try "none require" none "gssencmode=require"
try "krbsrvname" valid "gssencmode=require krbsrvname=nosuch"
try "plain only no entry" none "sslmode=disable"
try "no role" none "user=nobody sslmode=disable"
try "nologin gss" valid "user=nologin"
try "no db" none "dbname=nosuch"
try "no connect priv" none "dbname=locked"
try "reject" none "user=bob"
try "no password" none "user=pw sslmode=disable"
try "wrong password" none "user=pw sslmode=require password=zzz"
try "wrong root" none "sslmode=verify-ca sslrootcert=/r/ca2.crt"
try "missing root" none "sslmode=verify-ca sslrootcert=/r/missing.crt"
try "unix peer" none "host=/tmp"
try "unix gss require" none "host=/tmp gssencmode=require"
[ $V -ge 17 ] && try "direct" none "sslnegotiation=direct sslmode=require"
[ $V -ge 17 ] && try "direct wrong root" none "sslnegotiation=direct sslmode=verify-ca sslrootcert=/r/ca2.crt"
[ $V -ge 17 ] && try "weak direct" none "sslnegotiation=direct sslmode=prefer"
[ $V -ge 16 ] && try "require_auth" none "require_auth=gss"
try "channel binding" none "channel_binding=require"
try "channel binding gss" valid "channel_binding=require"
stop
start 'host all all all gss include_realm=0\n' off good good
try "no tls: require" none "sslmode=require"
try "no tls: direct" none "sslmode=require sslnegotiation=direct"
try "gss auth" valid "gssencmode=disable"
try "gss auth no ticket" none "gssencmode=disable"
try "gss auth expired" expired "gssencmode=disable"
try "gss auth krbsrvname" valid "gssencmode=disable krbsrvname=nosuch"
stop
start 'host all all all gss\n' on good wrong
try "map" valid ""
try "map auth" valid "gssencmode=disable sslmode=disable"
try "wrong name" none "sslmode=verify-full sslrootcert=/r/ca.crt"
stop
start 'host all all all gss krb_realm=OTHER\n' on good expired
try "krb_realm" valid ""
try "expired cert" none "sslmode=verify-full sslrootcert=/r/ca.crt"
stop
start 'hostssl all alice all cert\nhostssl all bob all trust clientcert=verify-full\n' on good good
try "cert none" none ""
try "cert" none "sslcert=/r/alice.crt sslkey=/r/alice.key"
try "cert bob" none "sslcert=/r/bob.crt sslkey=/r/bob.key sslmode=require"
try "clientcert alice" none "user=bob sslcert=/r/alice.crt sslkey=/r/alice.key sslmode=require"
stop
for k in none stale other; do
start 'host all all all gss include_realm=0\n' on $k good
try "keytab $k require" valid "gssencmode=require"
try "keytab $k auth plain" valid "gssencmode=disable sslmode=disable"
try "keytab $k auth tls" valid "gssencmode=disable sslmode=require"
stop
done
kill $(pidof krb5kdc)
start 'host all all all gss include_realm=0\n' on good good
try "kdc down enc" valid "gssencmode=require"
try "kdc down auth" valid "gssencmode=disable"
stop
