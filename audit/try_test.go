package audit

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"
)

func TestTry(t *testing.T) {
	fsys := fstest.MapFS{"pg_hba.conf": {Data: []byte(`local all all peer
host all all 127.0.0.1/32 trust
hostssl all all 10.0.0.0/8 cert map=m
hostssl all +ops 10.0.0.0/8 scram-sha-256
host all all all gss include_realm=0
host app svc 172.16.0.1/12 trust
`)}, "pg_ident.conf": {Data: []byte("m /^(.*)$ \\1\nu x y\n")}}
	s, err := ReadServer(fsys, Paths{HBA: "pg_hba.conf", Ident: "pg_ident.conf"}, 17)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	a, err := s.Ask(Question{Conninfo: "host=db.corp.test user=alice dbname=app sslmode=prefer", From: "10.1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(time.Since(start), a.Prediction.Outcome)
	for _, b := range a.Prediction.Because {
		fmt.Println("  ", b.Text, "|", b.Source)
	}
	for _, f := range a.Facts {
		fmt.Println(" *", f.Taken)
		for _, o := range f.Otherwise {
			fmt.Println("      if", o.If, "→", o.Outcome)
		}
	}
	start = time.Now()
	changes, err := a.WhyNot()
	fmt.Println(time.Since(start), err)
	for _, c := range changes {
		fmt.Println(" +", c.What, c.Outcome, c.Admits)
	}
	start = time.Now()
	r, err := s.Audit()
	fmt.Println(time.Since(start), err)
	for _, f := range r.Findings {
		fmt.Println(f.Level, f.ID, f.File, f.Line, f.Says)
	}
	for _, r := range r.Records {
		fmt.Println(r.Line, r.Text)
		for _, l := range r.Lets {
			fmt.Println("     ", l)
		}
	}
}
