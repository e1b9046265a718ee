package oracle

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestEverySettingThatIsNotModelled: no setting of this list, which decides who connects or whether the server listens at all, is passed over.
func TestEverySettingThatIsNotModelled(t *testing.T) {
	for name := range strings.FieldsSeq(`db_user_namespace listen_addresses port ssl ssl_ca_file ssl_cert_file ssl_key_file ssl_crl_file ssl_crl_dir
		ssl_ecdh_curve ssl_groups krb_server_keyfile hba_file ident_file max_connections max_wal_senders wal_level superuser_reserved_connections
		reserved_connections unix_socket_directories unix_socket_group unix_socket_permissions authentication_timeout pre_auth_delay post_auth_delay
		oauth_validator_libraries shared_preload_libraries local_preload_libraries event_triggers`) {
		_, err := Predict(cell(func(c *matrix.Cell) { c.World.Settings = []matrix.Setting{{Name: strings.ToUpper(name), Value: "x"}} }))
		var cannot *CannotPredict
		if !errors.As(err, &cannot) || cannot.What != "setting "+strings.ToUpper(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnknownValuesAreNamed: a value that no list has is refused, and the error names the axis and the value.
func TestUnknownValuesAreNamed(t *testing.T) {
	for name := range strings.FieldsSeq("ssl servercrl serverca transport hosts target_session_attrs replication root ssl_cert_file crl sslpassword sslcertmode gssdelegation password attack load") {
		_, err := Predict(cell(set(name + "=odd")))
		var cannot *CannotPredict
		if !errors.As(err, &cannot) || cannot.What != name+"=odd" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, setting := range []string{"default_transaction_read_only", "session_preload_libraries", "gss_accept_delegation"} {
		_, err := Predict(cell(set("setting=" + setting + "=odd")))
		var cannot *CannotPredict
		if !errors.As(err, &cannot) || cannot.What != setting+"=odd" {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// TestLongestName: NAMEDATALEN is 64, with the byte that ends the name.
func TestLongestName(t *testing.T) {
	for length, known := range map[int]bool{0: false, 1: true, 63: true, 64: false} {
		name := strings.Repeat("n", length)
		_, err := Predict(cell(func(c *matrix.Cell) { c.Client.Database = name }))
		var cannot *CannotPredict
		if errors.As(err, &cannot) == known {
			t.Errorf("a database whose name has %d bytes: %v", length, err)
		}
	}
}

// TestNumbers: atoi of C, by which the server reads ports.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{"": 0, "5432": 5432, "-5": -5, "+7": 7, " \t\n\v\f\r12x3": 12, "x": 0, "-": 0, "1-2": 1, "1+2": 1, "09": 9, "9": 9, "0": 0, "/": 0, ":": 0, "1:2": 1, "1/2": 1} {
		if got := atoi(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestOptionsOfMethods has the options that parse_hba_auth_opt and parse_hba_line of hba.c know, with their errors.
func TestOptionsOfMethods(t *testing.T) {
	const ldap = "host all all all ldap ldapserver=x ldapbasedn=y "
	const radius = `host all all all radius radiusservers=127.0.0.1 radiussecrets=s `
	const two = `host all all all radius radiusservers="127.0.0.1,127.0.0.2,127.0.0.3" `
	number := func(what, n string) string {
		return "the number of RADIUS " + what + " (" + n + ") must be 1 or the same as the number of RADIUS servers (3)"
	}
	for _, c := range []struct {
		server        int
		line, message string
	}{
		{17, "host all all all pam pamservice=x pam_use_hostname=1", ""},
		{17, ldap + "ldaptls=1 ldapscheme=ldap ldapport=389 ldapbinddn=a ldapbindpasswd=b ldapsearchattribute=c", ""},
		{17, ldap + "ldapscheme=ldaps ldapsearchfilter=f", ""},
		{17, ldap + "ldapport=x", `invalid LDAP port number: "x"`},
		{17, ldap + "ldapport=-1", ""},
		{17, "host all all all ldap ldapprefix=a", ""},
		{17, "host all all all ldap ldapsuffix=a", ""},
		{17, "host all all all ldap ldapserver=x", `authentication method "ldap" requires argument "ldapbasedn", "ldapprefix", or "ldapsuffix" to be set`},
		{17, ldap + "ldapsearchattribute=c ldapsearchfilter=f", "cannot use ldapsearchattribute together with ldapsearchfilter"},
		{18, ldap + "ldapprefix=p", "cannot mix options for simple bind and search+bind modes"},
		{17, ldap + "ldapprefix=p", "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"},
		{17, "host all all all ldap ldapsuffix=p ldapbinddn=a", "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"},
		{17, "host all all all ldap ldapprefix=p ldapbindpasswd=a", "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"},
		{17, "host all all all ldap ldapprefix=p ldapsearchattribute=a", "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"},
		{17, "host all all all ldap ldapprefix=p ldapsearchfilter=a", "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"},
		{17, radius + "radiusports=1812 radiusidentifiers=i", ""},
		{18, radius + "radiusports=1812 radiusidentifiers=i", ""},
		{17, "host all all all radius radiussecrets=s", `authentication method "radius" requires argument "radiusservers" to be set`},
		{17, "host all all all radius radiusservers=127.0.0.1", `authentication method "radius" requires argument "radiussecrets" to be set`},
		{17, radius + "radiusports=x", `invalid RADIUS port number: "x"`},
		{17, `host all all all radius radiusservers="127.0.0.1 x" radiussecrets=s`, `could not parse RADIUS server list "127.0.0.1 x"`},
		{17, radius + `radiusports="1,"`, `could not parse RADIUS port list "1,"`},
		{17, `host all all all radius radiusservers=127.0.0.1 radiussecrets="s,"`, `could not parse RADIUS secret list "s,"`},
		{17, radius + `radiusidentifiers="i,"`, `could not parse RADIUS identifiers list "i,"`},
		{17, two + `radiussecrets=s radiusports=1 radiusidentifiers=i`, ""},
		{17, two + `radiussecrets="a,b,c" radiusports="1,2,3" radiusidentifiers="a,b,c"`, ""},
		{17, two + `radiussecrets="a,b"`, number("secrets", "2")},
		{17, two + `radiussecrets=s radiusports="1,2"`, number("ports", "2")},
		{17, two + `radiussecrets=s radiusidentifiers="a,b"`, number("identifiers", "2")},
		{18, "host all all all oauth issuer=x", `authentication method "oauth" requires argument "scope" to be set`},
		{18, "host all all all oauth scope=x", `authentication method "oauth" requires argument "issuer" to be set`},
		{18, "host all all all oauth scope=x issuer=y validator=v delegate_ident_mapping=1 map=m", "oauth_validator_libraries must be set for authentication method oauth"},
		{17, "host all all all gss pam_use_hostname=1", `authentication option "pam_use_hostname" is only valid for authentication methods pam`},
		{17, "host all all all gss krb_realm=A include_realm=0 map=m", ""},
		{17, "host all all all trust krb_realm=A", `authentication option "krb_realm" is only valid for authentication methods gssapi and sspi`},
		{17, "host all all all gss upn_username=1", `authentication option "upn_username" is only valid for authentication methods sspi`},
		{17, "host all all all ident map=m", ""},
		{17, "hostssl all all all cert map=m", ""},
		{17, "host all all all bsd", `invalid authentication method "bsd": not supported by this build`},
	} {
		_, err := ParseHBA(c.line+"\n", nil, c.server)
		var rules *RulesError
		switch {
		case c.message == "" && err != nil:
			t.Errorf("%d: %s: %v", c.server, c.line, err)
		case c.message != "" && (!errors.As(err, &rules) || rules.Lines[0].Message != c.message):
			t.Errorf("%d: %s: %v; want %s", c.server, c.line, err, c.message)
		}
	}
	for _, name := range []string{"ldapurl", "ldaptls", "ldapscheme", "ldapserver", "ldapport", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter", "ldapbasedn", "ldapprefix", "ldapsuffix"} {
		var rules *RulesError
		_, err := ParseHBA("host all all all trust "+name+"=1\n", nil, 17)
		if want := `authentication option "` + name + `" is only valid for authentication methods ldap`; !errors.As(err, &rules) || rules.Lines[0].Message != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
