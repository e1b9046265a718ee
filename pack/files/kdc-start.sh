#!/bin/sh
# Makes realm $1 and its keytabs and tickets, and starts its KDC. That of the first realm also makes the passwords, the CAs and the certificates.
# What the server and the client need of it goes into the volume /made, which is removed with the containers.
set -eu
umask 077
trap '[ $? = 0 ] || touch /made/failed' EXIT
chmod 711 /made
if [ "$1" = 0 ]; then
    mkdir -p /made/pki/client
    for secret in password wrong-password passphrase wrong-passphrase; do
        openssl rand -hex 16 | tr -d '\n' >/made/pki/client/$secret
    done
    (cd /made/pki && sh /pack/kdc/pki.sh)
    openssl rand -hex 16 >/made/trust.new # of the key that two realms share
    mv /made/trust.new /made/trust
fi
until [ -e /made/trust ]; do
    [ ! -e /made/failed ]
    sleep 0.2
done
sed "s/{{.Trust}}/$(cat /made/trust)/" "/pack/kdc/realm-$1.sh" >/pgam/realm.sh
sh /pgam/realm.sh
cp -R /pgam/out "/made/realm-$1"
touch "/made/realm-$1.ready"
trap - EXIT
exec tail -n +1 -F /pgam/kdc.log
