package cases

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Fate is what becomes of a setting of the customer's in the world that is built.
type Fate string

// The fates.
const (
	Taken     Fate = "taken"        // the server has it
	Axis      Fate = "as an axis"   // the world says it in its own words: ssl, the files of certificates and keys
	Harness   Fate = "left out"     // it belongs to the harness
	Program   Fate = "side effects" // it would run a program, load code, or write or connect somewhere
	Unmatched Fate = "no match"     // it can decide over a connection, and the world has nothing like it
	Ignored   Fate = ""             // it decides over no connection
)

// settings are those that have another fate than Ignored, and what that means for the verdict. The list is closed: no other setting reaches a server.
var settings = map[string]struct {
	fate   Fate
	effect string
}{
	"password_encryption":           {Taken, ""},
	"krb_caseins_users":             {Taken, ""},
	"ssl_max_protocol_version":      {Taken, ""},
	"default_transaction_read_only": {Taken, ""},

	"ssl":                {Axis, ""},
	"ssl_ca_file":        {Axis, ""},
	"ssl_crl_file":       {Axis, ""},
	"ssl_crl_dir":        {Axis, ""},
	"ssl_cert_file":      {Axis, ""},
	"ssl_key_file":       {Axis, ""},
	"krb_server_keyfile": {Axis, ""},
	"hba_file":           {Axis, ""},
	"ident_file":         {Axis, ""},

	"listen_addresses":        {Harness, "an address at which the server does not listen refuses TCP connections before any rule is asked"},
	"port":                    {Harness, "a client that names another port is refused before any rule is asked"},
	"unix_socket_directories": {Harness, "a client that names another socket directory is refused before any rule is asked"},
	"unix_socket_permissions": {Harness, "an account without permission for the socket is refused before any rule is asked"},
	"unix_socket_group":       {Harness, "an account without permission for the socket is refused before any rule is asked"},
	"config_file":             {Harness, ""},
	"data_directory":          {Harness, ""},
	"logging_collector":       {Harness, ""},
	"log_destination":         {Harness, ""},
	"log_directory":           {Harness, ""},
	"log_filename":            {Harness, ""},
	"log_line_prefix":         {Harness, ""},
	"log_min_messages":        {Harness, ""},
	"log_connections":         {Harness, ""},
	"log_disconnections":      {Harness, ""},
	"lc_messages":             {Harness, ""},

	"archive_command":           {Program, ""},
	"restore_command":           {Program, ""},
	"archive_cleanup_command":   {Program, ""},
	"recovery_end_command":      {Program, ""},
	"archive_library":           {Program, ""},
	"ssl_passphrase_command":    {Program, "a server that does not get the passphrase of its key has no TLS"},
	"shared_preload_libraries":  {Program, "a library can add checks of passwords and logins of its own"},
	"session_preload_libraries": {Program, "a library can add checks of passwords and logins of its own"},
	"local_preload_libraries":   {Program, "a library can add checks of passwords and logins of its own"},
	"dynamic_library_path":      {Program, ""},
	"extension_control_path":    {Program, ""},
	"jit_provider":              {Program, ""},
	"primary_conninfo":          {Program, "the world's server is a primary"},
	"primary_slot_name":         {Program, ""},
	"synchronous_standby_names": {Program, ""},
	"external_pid_file":         {Program, ""},
	"oauth_validator_libraries": {Program, "records with the method oauth are not tried"},
	"pam_service":               {Program, ""},
	"event_triggers":            {Program, "an event trigger can refuse a login"},

	"ssl_min_protocol_version":       {Unmatched, "a client that knows no such version of TLS is refused"},
	"ssl_ciphers":                    {Unmatched, "a client that has none of the ciphers is refused in TLS"},
	"ssl_tls13_ciphers":              {Unmatched, "a client that has none of the ciphers is refused in TLS"},
	"ssl_ecdh_curve":                 {Unmatched, "a client that has no group in common is refused in TLS"},
	"ssl_groups":                     {Unmatched, "a client that has no group in common is refused in TLS"},
	"ssl_dh_params_file":             {Unmatched, ""},
	"ssl_sni":                        {Unmatched, "the server's certificate and CAs hang on the host name that the client sends"},
	"hosts_file":                     {Unmatched, ""},
	"ssl_prefer_server_ciphers":      {Unmatched, ""},
	"db_user_namespace":              {Unmatched, "a role is called USER@DATABASE"},
	"max_connections":                {Unmatched, "the limit may be reached there, and is not here"},
	"superuser_reserved_connections": {Unmatched, "the limit may be reached there, and is not here"},
	"reserved_connections":           {Unmatched, "the limit may be reached there, and is not here"},
	"authentication_timeout":         {Unmatched, "a slow client may be cut off there, and is not here"},
	"gss_accept_delegation":          {Unmatched, ""},
	"scram_iterations":               {Unmatched, ""},
	"bonjour":                        {Unmatched, ""},
}

// listing reads what psql prints of pg_settings: in columns between bars, as CSV with a header, or as lines of postgresql.conf.
func listing(file, text string) (lines []audit.Line, err error) {
	header, _, _ := strings.Cut(text, "\n")
	separator := ""
	for _, s := range []string{"|", ",", "\t"} {
		if columns := strings.Split(header, s); len(columns) > 1 && strings.TrimSpace(columns[0]) == "name" && strings.TrimSpace(columns[1]) == "setting" {
			separator = s
		}
	}
	if separator == "" {
		return audit.Settings(file, text)
	}
	for i, l := range strings.Split(text, "\n") {
		columns := strings.Split(l, separator)
		if separator == "," {
			columns, err = csv.NewReader(strings.NewReader(l)).Read()
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, &matrix.Problem{File: file, Line: i + 1, Column: 1, Wrong: "the line is no CSV", Right: `want what psql --csv -c "SELECT name, setting FROM pg_settings" prints`}
			}
		}
		if i == 0 || len(columns) < 2 {
			continue // the header, the line below it, the number of rows
		}
		lines = append(lines, audit.Line{Setting: matrix.Setting{Name: strings.ToLower(strings.TrimSpace(columns[0])), Value: strings.TrimSpace(columns[1])}, File: file, Line: i + 1})
	}
	return lines, nil
}
