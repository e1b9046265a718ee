package oracle

// raw is what a server makes of what no client library sends.
func (a *attempt) raw() (ending, error) {
	return ending{}, unknown("its answers are not modelled", "the raw client's attack %s", a.c.Attack)
}
