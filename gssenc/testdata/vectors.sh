#!/bin/sh
# Runs in a container made for it (Debian with krb5-kdc, krb5-admin-server, krb5-user, gcc and libkrb5-dev), where this folder is
# /vectors. With no argument: a KDC, made on the first call, and the peer for the etype in $ETYPE (as krb5.conf spells it).
set -eu
export KRB5_CONFIG=/vectors/krb5.conf KRB5_KDC_PROFILE=/vectors/kdc.conf KRB5CCNAME=/vectors/ccache.$ETYPE KRB5_KTNAME=/vectors/keytab
export KRB5RCACHENAME=none:
conf() {
	cat <<END
[libdefaults]
 default_realm = VECTORS.TEST
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 ${1:-}
[realms]
 VECTORS.TEST = {
  kdc = 127.0.0.1:88
 }
END
}
if [ ! -e /vectors/keytab ]; then
	conf >/vectors/krb5.conf
	cat >/vectors/kdc.conf <<END
[realms]
 VECTORS.TEST = {
  database_name = /vectors/principal
  key_stash_file = /vectors/stash
  supported_enctypes = aes256-cts:normal aes128-cts:normal aes256-sha2:normal aes128-sha2:normal
 }
END
	gcc -Wall -o /vectors/vectors /vectors/vectors.c -lgssapi_krb5
	kdb5_util create -s -P "$(head -c 24 /dev/urandom | base64)" >&2
	kadmin.local addprinc -randkey client >&2
	kadmin.local ktadd -k /vectors/keytab client >&2
	for etype in aes128-cts aes256-cts aes128-sha2 aes256-sha2; do
		kadmin.local addprinc -randkey -e $etype:normal test/$etype >&2
		kadmin.local ktadd -k /vectors/keytab -e $etype:normal test/$etype >&2
	done
	krb5kdc >&2 </dev/null
fi
KRB5_CONFIG=/vectors/krb5.conf.$ETYPE
conf "permitted_enctypes = $ETYPE" >"$KRB5_CONFIG"
kinit -k -t /vectors/keytab client >&2
exec /vectors/vectors test@$ETYPE
