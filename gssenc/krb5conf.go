package gssenc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"
)

// krb5Conf is what this package needs of a krb5.conf(5). gokrb5 reads the sections; what it does not know is read here
// before: include, includedir and module lines, sections that occur more than once, lists of etypes with families and
// removals, default_ccache_name.
type krb5Conf struct {
	*config.Config
	tkt, tgs []int32 // etypes to ask for in AS and TGS exchanges, preferred first
	ccache   string  // default_ccache_name
}

const (
	maxConf      = 1 << 20 // octets of krb5.conf with its includes
	maxConfLine  = 8 << 10
	maxConfDepth = 8
)

// loadConf reads the file; with no path that of $KRB5_CONFIG or /etc/krb5.conf, and without such a file it is empty, as for
// libkrb5: KDCs then come from DNS.
func loadConf(path string) (*krb5Conf, error) {
	if path == "" {
		paths := []string{"/etc/krb5.conf"}
		if env := os.Getenv("KRB5_CONFIG"); env != "" {
			paths = strings.Split(env, ":")
		}
		i := slices.IndexFunc(paths, func(p string) bool { _, err := os.Stat(p); return err == nil })
		if i < 0 {
			return parseConf(nil)
		}
		path = paths[i]
	}
	var lines []string
	if err := readConf(path, 0, new(int), &lines); err != nil {
		return nil, err
	}
	conf, err := parseConf(lines)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return conf, nil
}

// readConf appends the lines of a file and of those that it includes.
func readConf(path string, depth int, size *int, lines *[]string) error {
	if depth > maxConfDepth {
		return fmt.Errorf("%s: included more than %d deep", path, maxConfDepth)
	}
	text, err := readBounded(path, maxConf-*size)
	if err != nil {
		return err
	}
	*size += len(text)
	for _, line := range splitLines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, " \t"), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case word == "include" && rest != "":
			if err := readConf(rest, depth+1, size, lines); err != nil {
				return err
			}
		case word == "includedir" && rest != "":
			entries, err := os.ReadDir(rest)
			if err != nil {
				return err
			}
			for _, entry := range entries {
				if entry.IsDir() || !includable(entry.Name()) {
					continue
				}
				if err := readConf(filepath.Join(rest, entry.Name()), depth+1, size, lines); err != nil {
					return err
				}
			}
		case word == "module" && rest != "":
		default:
			*lines = append(*lines, line)
		}
	}
	return nil
}

func splitLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// includable is the rule of krb5.conf(5) for files of an includedir.
func includable(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	return strings.HasSuffix(name, ".conf") || !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func parseConf(lines []string) (conf *krb5Conf, err error) {
	sections := map[string][]string{}
	libdefaults := map[string]string{} // the first of several counts
	section, depth := "", 0
	for n, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case len(line) > maxConfLine:
			return nil, fmt.Errorf("line %d is longer than %d octets", n+1, maxConfLine)
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			section = strings.TrimSpace(strings.Trim(strings.TrimRight(line, "* \t"), "[]"))
			depth = 0
			continue
		}
		if section == "libdefaults" {
			opens := strings.HasSuffix(line, "{")
			inner := depth > 0 || opens // defaults of one realm or application
			if opens {
				depth++
			} else if line[0] == '}' {
				depth = max(0, depth-1)
			}
			key, value, ok := strings.Cut(line, "=")
			key = strings.ToLower(strings.TrimSpace(key))
			if _, twice := libdefaults[key]; inner || !ok || twice {
				continue
			}
			libdefaults[key] = strings.TrimSpace(value)
			if strings.HasSuffix(key, "_enctypes") {
				continue
			}
		}
		sections[section] = append(sections[section], line)
	}
	var text strings.Builder
	for _, name := range []string{"libdefaults", "realms", "domain_realm"} {
		fmt.Fprintf(&text, "[%s]\n%s\n", name, strings.Join(sections[name], "\n"))
	}
	defer func() { // gokrb5 indexes without looking
		if r := recover(); r != nil {
			conf, err = nil, fmt.Errorf("not understood: %v", r)
		}
	}()
	read, err := config.NewFromString(text.String())
	if unsupported := new(config.UnsupportedDirective); err != nil && !errors.As(err, unsupported) {
		return nil, err
	}
	conf = &krb5Conf{Config: read, ccache: libdefaults["default_ccache_name"]}
	if _, said := libdefaults["dns_lookup_kdc"]; !said {
		conf.LibDefaults.DNSLookupKDC = true // the default of krb5.conf(5), not gokrb5's
	}
	permitted := parseEtypes(libdefaults["permitted_enctypes"], nil)
	conf.tkt = parseEtypes(libdefaults["default_tkt_enctypes"], permitted)
	conf.tgs = parseEtypes(libdefaults["default_tgs_enctypes"], permitted)
	return conf, nil
}

// etypeNames are the spellings of MIT krb5; the first of an etype is its name.
var etypeNames = []struct {
	name  string
	etype Etype
}{
	{"aes256-cts-hmac-sha1-96", AES256SHA1}, {"aes256-cts", AES256SHA1}, {"aes256-sha1", AES256SHA1},
	{"aes128-cts-hmac-sha1-96", AES128SHA1}, {"aes128-cts", AES128SHA1}, {"aes128-sha1", AES128SHA1},
	{"aes256-cts-hmac-sha384-192", AES256SHA384}, {"aes256-sha2", AES256SHA384},
	{"aes128-cts-hmac-sha256-128", AES128SHA256}, {"aes128-sha2", AES128SHA256},
	{"des3-cbc-sha1", des3SHA1}, {"des3-hmac-sha1", des3SHA1}, {"des3-cbc-sha1-kd", des3SHA1},
	{"arcfour-hmac", rc4HMAC}, {"rc4-hmac", rc4HMAC}, {"arcfour-hmac-md5", rc4HMAC},
}

var etypeFamilies = map[string][]int32{
	"default": {18, 17, 20, 19},
	"aes":     {18, 17, 20, 19},
	"rc4":     {23},
	"des3":    {16},
}

// parseEtypes reads a list as in permitted_enctypes. Names that are not known are passed over, as libkrb5 does; an empty
// result means the default: otherwise, or what MIT krb5 has without its weak etypes.
func parseEtypes(list string, otherwise []int32) []int32 {
	var etypes []int32
	for _, name := range strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		bare := strings.TrimLeft(name, "+-")
		ids := etypeFamilies[bare]
		for _, n := range etypeNames {
			if n.name == bare {
				ids = []int32{int32(n.etype)}
			}
		}
		for _, id := range ids {
			etypes = slices.DeleteFunc(etypes, func(e int32) bool { return e == id && name[0] == '-' })
			if name[0] != '-' && !slices.Contains(etypes, id) {
				etypes = append(etypes, id)
			}
		}
	}
	if len(etypes) > 0 {
		return etypes
	}
	if otherwise != nil {
		return otherwise
	}
	return etypeFamilies["default"]
}

// defaultCCache is the cache of libkrb5's default: $KRB5CCNAME, default_ccache_name, /tmp/krb5cc_UID.
func (c *krb5Conf) defaultCCache() string {
	if name := os.Getenv("KRB5CCNAME"); name != "" {
		return name
	}
	uid := strconv.Itoa(os.Getuid())
	if c.ccache != "" {
		return strings.NewReplacer("%{uid}", uid, "%{USERID}", uid, "%{euid}", strconv.Itoa(os.Geteuid()), "%{TEMP}", "/tmp",
			"%{null}", "").Replace(c.ccache)
	}
	return "/tmp/krb5cc_" + uid
}

// readBounded reads a file that is at most limit octets long.
func readBounded(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(content) > limit {
		return nil, fmt.Errorf("%s: longer than %d octets", path, limit)
	}
	return content, nil
}
