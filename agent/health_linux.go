package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/credentials"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
)

// health reads the caches and logs in, without starting a process.
func health(ctx context.Context, h Health, now time.Time) *HealthResult {
	result := &HealthResult{}
	for _, cache := range h.Caches {
		if wrong := checkCache(ctx, h.Config, cache, now); wrong != "" {
			result.Caches = append(result.Caches, wrong)
		}
	}
	for _, l := range h.Logins {
		if err := logIn(ctx, h.Config, l); err != nil {
			result.Logins = append(result.Logins, fmt.Sprintf("%s: %v", l.Principal, err))
		}
	}
	return result
}

// checkCache says what is wrong with a cache, or "". A ticket-granting ticket decides, as with klist -s: service tickets end with it.
func checkCache(ctx context.Context, config string, c CacheState, now time.Time) string {
	end, err := ticketEnd(ctx, config, c.Path)
	switch {
	case err != nil:
		return fmt.Sprintf("the ticket in %s is not valid any more: %v", c.Path, err)
	case c.Expired && now.Before(end):
		return fmt.Sprintf("the ticket in %s must have expired, and is valid until %s", c.Path, end.UTC().Format(time.RFC3339))
	case !c.Expired && !now.Before(end):
		return fmt.Sprintf("the ticket in %s is not valid any more: it expired at %s", c.Path, end.UTC().Format(time.RFC3339))
	}
	return ""
}

// ticketEnd is the end of a cache's ticket-granting ticket. gokrb5, which gives it, takes a damaged file for one with other
// times: gssenc, which does not, reads the file first.
func ticketEnd(ctx context.Context, config, path string) (end time.Time, err error) {
	whole, err := gssenc.Acquire(ctx, gssenc.Source{Config: config, CCache: path})
	if err != nil {
		return end, err
	}
	if err := whole.Close(); err != nil {
		return end, err
	}
	cache, err := credentials.LoadCCache(path)
	if err != nil {
		return end, err
	}
	for _, c := range cache.Credentials {
		if n := c.Server.PrincipalName.NameString; len(n) == 2 && n[0] == "krbtgt" && n[1] == cache.DefaultPrincipal.Realm && c.EndTime.After(end) {
			end = c.EndTime
		}
	}
	if end.IsZero() {
		return end, fmt.Errorf("it holds no ticket-granting ticket of %s", cache.DefaultPrincipal.Realm)
	}
	return end, nil
}

// logIn gets a ticket-granting ticket from the KDC, and a service ticket if one is asked for.
func logIn(ctx context.Context, config string, l Login) error {
	c, err := gssenc.Acquire(ctx, gssenc.Source{Config: config, Keytab: l.Keytab, Principal: l.Principal})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if l.SPN == "" {
		return nil
	}
	_, err = c.Initiate(ctx, gssenc.InitOptions{SPN: l.SPN})
	return err
}
