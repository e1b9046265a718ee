package matrix

import "testing"

// TestWorldKeys: what can be changed in a running Env is in Key; what cannot is in EnvKey as well.
func TestWorldKeys(t *testing.T) {
	base := func() *World {
		return &World{Server: 17, SSL: "on", ServerCert: "good", Keytab: "good", HBA: "host all all all trust", Host: "pg.example.test",
			Settings: []Setting{{"work_mem", "4096"}}, Roles: []Role{{Name: "a"}}, Realms: []Realm{{Name: "EXAMPLE.TEST", Principals: []string{"a", "b"}}}}
	}
	for name, test := range map[string]struct {
		change  func(*World)
		running bool
	}{
		"ssl":             {func(w *World) { w.SSL = "off" }, true},
		"certificate":     {func(w *World) { w.ServerCert = "expired" }, true},
		"keytab":          {func(w *World) { w.Keytab = "none" }, true},
		"hba":             {func(w *World) { w.HBA += "\n" }, true},
		"ident":           {func(w *World) { w.Ident = "m a b" }, true},
		"server":          {func(w *World) { w.Server = 18 }, false},
		"host":            {func(w *World) { w.Host = "db.example.test" }, false},
		"setting":         {func(w *World) { w.Settings[0].Value = "4097" }, false},
		"reloaded":        {func(w *World) { w.Settings = append(w.Settings, Setting{"KRB_caseins_users", "on"}) }, true},
		"setting's end":   {func(w *World) { w.Settings[0] = Setting{"work_mem", `4096" set:x="1`} }, false},
		"role":            {func(w *World) { w.Roles = append(w.Roles, Role{Name: "b"}) }, true},
		"role's login":    {func(w *World) { w.Roles[0].NoLogin = true }, true},
		"role's password": {func(w *World) { w.Roles[0].Password = "md5" }, true},
		"realm":           {func(w *World) { w.Realms[0].Name = "EXAMPLE.ORG" }, false},
		"second realm":    {func(w *World) { w.Realms = append(w.Realms, Realm{Name: "B.TEST"}) }, false},
	} {
		w := base()
		test.change(w)
		if w.Key() == base().Key() {
			t.Errorf("%s: two worlds have one Key", name)
		}
		if (w.EnvKey() == base().EnvKey()) != test.running {
			t.Errorf("%s: the same EnvKey: %t, want %t", name, !test.running, test.running)
		}
	}
	if w := base(); w.Key() != base().Key() || w.EnvKey() != base().EnvKey() {
		t.Error("equal worlds have different keys")
	}
	// Principals are in neither key: an Env has those of all its worlds. Nor is the name of a text within its scenario.
	w := base()
	w.Realms[0].Principals = []string{"a"}
	w.HBAName, w.IdentName = "one", "two"
	if w.Key() != base().Key() {
		t.Error("the principals, or the name of a text, are in the Key")
	}
}
