// A module of its own: one program has one version of a library, and the agent has a later one.
module github.com/pgauthmatrix/pgauthmatrix/agent/drivers/pgx511

go 1.26.0

require github.com/jackc/pgx/v5 v5.11.0

require (
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	golang.org/x/text v0.29.0 // indirect
)
