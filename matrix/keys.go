package matrix

import "cmp"

// KeyForm describes the file in which a client has its certificate's key: fixtures makes what it says, and the oracle reasons from it.
type KeyForm struct {
	Name        string // as the axis key names it
	Doc         string // one line, for docs/scenarios.md
	Traditional bool   // the form of its own kind (PKCS #1, SEC 1) and not PKCS #8
	DER         bool   // and not PEM
	Encrypted   bool   // with the passphrase of sslpassword=right
	Legacy      bool   // and by a cipher that OpenSSL 3 leaves to its provider legacy, which no client loads
	Open        bool   // everybody may read it
	Absent      bool   // there is no file
	Foreign     bool   // it is the key of another certificate
}

// KeyForms are the values of the axis key. The first is the default.
var KeyForms = []KeyForm{
	{Name: "good", Doc: "PKCS #8, PEM, for its owner to read"},
	{Name: "traditional", Doc: "PKCS #1 or SEC 1, PEM", Traditional: true},
	{Name: "der", Doc: "PKCS #8, DER", DER: true},
	{Name: "encrypted", Doc: "PKCS #8, PEM, encrypted (PBES2, AES-256)", Encrypted: true},
	{Name: "encrypted-traditional", Doc: "PKCS #1 or SEC 1, PEM, encrypted (Proc-Type: 4,ENCRYPTED, AES-256)", Traditional: true, Encrypted: true},
	{Name: "encrypted-legacy", Doc: "PKCS #8, PEM, encrypted (PBES1: MD5 and DES)", Encrypted: true, Legacy: true},
	{Name: "world-readable", Doc: "like good, and everybody may read it", Open: true},
	{Name: "missing", Doc: "there is no such file", Absent: true},
	{Name: "other", Doc: "the key of another certificate", Foreign: true},
}

// KeyFormOf is the form of the client's key file; ok is false if nothing describes it.
func (w *World) KeyFormOf(c *Client) (form KeyForm, ok bool) {
	return described(cmp.Or(c.Key, KeyForms[0].Name), func(k *KeyForm) string { return k.Name }, nil, KeyForms)
}

func keyFormNames() (names []string) {
	for _, k := range KeyForms {
		names = append(names, k.Name)
	}
	return names
}
