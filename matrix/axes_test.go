package matrix

import (
	"slices"
	"strings"
	"testing"
)

func TestAxes(t *testing.T) {
	clientSeen := false
	for _, a := range Axes {
		if a.Kind == WorldAxis && clientSeen {
			t.Errorf("world axis %s is after a client axis: Expand would make a world for each of its values", a.Name)
		}
		clientSeen = clientSeen || a.Kind == ClientAxis
		if a.Doc == "" {
			t.Errorf("%s is not documented", a.Name)
		}
		if a.Values != nil && a.Default != "" && !slices.Contains(a.Values, a.Default) {
			t.Errorf("%s has the default %s, which is not one of its values", a.Name, a.Default)
		}
		for _, word := range append(a.groups(), NotGiven, "all") {
			if slices.Contains(a.Words(), word) {
				t.Errorf("%s has the value %s, which has another meaning in scenario files", a.Name, word)
			}
		}
	}
}

// TestAxisValues: setting a value on an axis changes that axis alone.
func TestAxisValues(t *testing.T) {
	for _, a := range Axes {
		values := a.Values
		if values == nil {
			values = []string{"one", "other"}
		}
		for _, v := range values {
			cell := Cell{World: &World{}}
			a.set(cell.World, &cell.Client, v)
			if got := cell.Value(a.Name); got != v {
				t.Errorf("%s set to %s is %s", a.Name, v, got)
			}
			for _, other := range Axes {
				if got := cell.Value(other.Name); other.Name != a.Name && got != "" && got != "0" {
					t.Errorf("%s set to %s sets %s, too", a.Name, v, other.Name)
				}
			}
			if got := a.value(a.Text(v)); got != v {
				t.Errorf("%s: %s is read as %s", a.Name, v, got)
			}
		}
	}
}

func TestOptionalAxes(t *testing.T) {
	var optional []string
	for _, a := range Axes {
		if a.Optional() {
			optional = append(optional, a.Name)
			if a.Text("") != "default" || a.value("default") != "" {
				t.Errorf("%s: the option that is not given is %q", a.Name, a.Text(""))
			}
		}
	}
	if got, want := strings.Join(optional, " "), "address os_user replication gssencmode sslmode sslnegotiation ssl_cert_file sslcertmode sslsni channel_binding require_auth krbsrvname target_session_attrs gssdelegation asks opened"; got != want {
		t.Errorf("optional axes are %s, want %s", got, want)
	}
}

func TestUnknownAxis(t *testing.T) {
	if _, ok := AxisByName("ssl_mode"); ok {
		t.Error("found an axis that does not exist")
	}
	defer func() {
		if recover() == nil {
			t.Error("the value of an axis that does not exist does not panic")
		}
	}()
	(&Cell{World: &World{}}).Value("ssl_mode")
}

func TestNotApplicable(t *testing.T) {
	for _, test := range []struct {
		client Client
		want   string
	}{
		{Client{Library: "libpq13"}, ""},
		{Client{Library: "libpq16", SSLNegotiation: "direct"}, "libpq 16 has no sslnegotiation (since 17)"},
		{Client{Library: "psql15", SSLNegotiation: "direct"}, "libpq 15 has no sslnegotiation (since 17)"},
		{Client{Library: "libpq17", SSLNegotiation: "direct"}, ""},
		{Client{Library: PGX, SSLNegotiation: "direct"}, ""},
		{Client{Library: "libpq15", RequireAuth: "gss"}, "libpq 15 has no require_auth (since 16)"},
		{Client{Library: "libpq16", RequireAuth: "gss"}, ""},
		{Client{Library: PGX, GSSEncMode: "disable"}, ""},
		{Client{Library: PGX}, ""},
		{Client{Library: PGX, GSSEncMode: "prefer"}, ""},
		{Client{Library: PGX, GSSEncMode: "require"}, ""},
		{Client{Library: PGX, ChannelBinding: "require", RequireAuth: "gss"}, ""},
		{Client{Library: PQ, SSLNegotiation: "direct"}, ""},
		{Client{Library: PQ, GSSEncMode: "disable", ChannelBinding: "disable"}, ""},
		{Client{Library: PQ, GSSEncMode: "prefer"}, "lib/pq has no gssencmode and cannot encrypt with GSSAPI"},
		{Client{Library: PQ, GSSEncMode: "require"}, "lib/pq has no gssencmode and cannot encrypt with GSSAPI"},
		{Client{Library: PQ, ChannelBinding: "prefer"}, "lib/pq has no channel_binding and cannot bind SCRAM to TLS"},
		{Client{Library: PQ, ChannelBinding: "require"}, "lib/pq has no channel_binding and cannot bind SCRAM to TLS"},
		{Client{Library: PQ, RequireAuth: "none"}, "lib/pq has no require_auth"},
		{Client{Library: PQ, Transport: "tcp", Hosts: Twice, Ticket: Ambient, Cert: Ambient}, ""},
		{Client{Library: PGX, Transport: "unix", Hosts: OneHost}, ""},
		{Client{Library: "psql17", Transport: "unix", Hosts: DeadFirst}, "a unix-domain socket has no host"},
		{Client{Library: Raw, Attack: "alternate", Hosts: OneHost}, ""},
		{Client{Library: Raw, Attack: "alternate", Hosts: Twice}, "the raw client takes one host"},
		{Client{Library: Raw, Attack: "alternate", Ticket: Ambient}, "the raw client uses only credentials that it is given"},
		{Client{Library: Raw, Attack: "alternate", Cert: Ambient}, "the raw client uses only credentials that it is given"},
	} {
		if got := NotApplicable(&Cell{World: &World{Server: 18}, Client: test.client}); got != test.want {
			t.Errorf("%+v: %q, want %q", test.client, got, test.want)
		}
	}
}

func TestLibrary(t *testing.T) {
	for _, test := range []struct {
		library   Library
		kind      ClientKind
		version   int
		usesLibpq bool
		silent    bool
	}{
		{"libpq13", "libpq", 13, true, false}, {"psql18", "psql", 18, true, true}, {PGX, "pgx", 0, false, false}, {PQ, "pq", 0, false, false},
	} {
		info, ok := test.library.Info()
		if !ok || info.Name != test.library || info.Silent != test.silent {
			t.Errorf("%s is %+v", test.library, info)
		}
		if test.library.Kind() != test.kind || test.library.Libpq() != test.version || test.library.UsesLibpq() != test.usesLibpq {
			t.Errorf("%s is %s %d %t", test.library, test.library.Kind(), test.library.Libpq(), test.library.UsesLibpq())
		}
	}
}
