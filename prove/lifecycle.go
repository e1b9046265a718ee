package prove

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// acrossLoads are faults of how a server comes by its files, and of sessions that stay open meanwhile.
func acrossLoads() []fault {
	const differ, broken = verdict.Differ, verdict.Broken
	rules := func(load, opened string) []string {
		return []string{"lifecycle/rules-across-a-load/pg17/hba=good,load=" + load + "/libpq18/user=bob,sslmode=disable,opened=" + opened}
	}
	session := func(load string) []string {
		return []string{"lifecycle/rules-across-a-load/pg17/hba=good,load=" + load + "/libpq18/user=alice,sslmode=require,opened=before"}
	}
	certificate := func(load, opened string) []string {
		return []string{"lifecycle/files-for-tls/pg17/tls_files=good,load=" + load + "/libpq18/sslmode=verify-full,opened=" + opened}
	}
	oldRules := wrong(func(w *matrix.World) { w.HBA = w.Before.HBA })
	return []fault{
		{"the reload did not happen", rules("reload", "default"), rules("reload", "before"), differ, endRefused, oldRules},
		{"the restart kept the old rules", rules("restart", "default"), rules("restart", "before"), differ, endRefused, oldRules},
		{"the restart kept the old certificate", certificate("restart", "default"), certificate("restart", "before"), differ, endRefused,
			wrong(func(w *matrix.World) { w.ServerCert = w.Before.ServerCert })},
		{"a file for TLS is not broken, and should be", []string{"lifecycle/files-for-tls/pg17/tls_files=other-key,load=reload/libpq18/sslmode=verify-full,opened=default"}, nil,
			differ, endConnected, wrong(func(w *matrix.World) { w.TLSFiles = matrix.GoodTLSFiles })},
		{"the server is reloaded while a session is open, and should be started anew", session("restart"), nil, differ, endConnected, wrong(func(w *matrix.World) { w.Load = matrix.Reload })},
		{"the session is not open while the server gets its files", session("reload"), nil, broken, contradiction, plant{client: func(c *matrix.Client) { c.Opened = "" }}},
		{"another session was seen while the server got its files", session("reload"), nil, broken, contradiction, witness(func(e *matrix.Evidence) { e.Across.PID++ })},
		{"nobody has seen the session while the server got its files", session("restart"), nil, broken, contradiction, witness(func(e *matrix.Evidence) { e.Across = nil })},
	}
}
