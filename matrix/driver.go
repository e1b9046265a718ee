package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Driver is a client under test that is not an entry of Clients: its author describes it in a file. Its cells are those of the client
// Like, with the same predictions; what differs is the report. docs/your-own-driver.md documents the file.
type Driver struct {
	Name    string
	Image   string   // reference of a container image; empty: the client image of Like
	Command string   // path of the driver program, which is put into the container; empty: Image has it
	Options []string // axes of Options that the driver understands
	Like    Library  // an entry of Clients
}

// Name is the client's name in reports and IDs: the driver's, or the library's.
func (c *Client) Name() string {
	if c.Driver != nil {
		return c.Driver.Name
	}
	return string(c.Library)
}

// KindForeign is the kind of a driver's cells. It is not in Clients: nobody has written down what a driver of this kind says.
const KindForeign ClientKind = "foreign"

// Kind is the kind of the client: KindForeign for a driver, or the library's.
func (c *Client) Kind() ClientKind {
	if c.Driver != nil {
		return KindForeign
	}
	return c.Library.Kind()
}

// Silent says whether the client does not report the authentication requests that it received, nor whether its connection is encrypted. What a
// driver reports of them is not read.
func (c *Client) Silent() bool {
	info, _ := c.Library.Info()
	return c.Driver != nil || info.Silent
}

// driverOptions are the axes that a driver may understand, each with the values of which a driver that does not understand it does what
// they mean anyway. A cell with another value is not applicable.
var driverOptions = []struct {
	axis    string
	without []string
}{
	{"transport", []string{"tcp"}},
	{"hosts", []string{"", OneHost}},
	{"hostname", HostNames},
	{"ticket", []string{"", "none"}},
	{"gssencmode", []string{"", "disable"}},
	{"sslmode", []string{""}},
	{"sslnegotiation", []string{"", "postgres"}},
	{"root", []string{"", "none"}},
	{"crl", []string{"", "none"}},
	{"cert", []string{"", "none"}},
	{"key", []string{"", KeyForms[0].Name}},
	{"sslpassword", []string{"", "none"}},
	{"sslcertmode", []string{"", "allow"}},
	{"sslsni", []string{""}},
	{"channel_binding", []string{"", "disable"}},
	{"require_auth", []string{""}},
	{"krbsrvname", []string{""}},
	{"target_session_attrs", []string{"", AnySession}},
	{"replication", []string{""}},
	{"password", []string{"", "none"}},
}

// DriverOptions are the names that Driver.Options may have, in the order of Axes.
func DriverOptions() (names []string) {
	for _, o := range driverOptions {
		names = append(names, o.axis)
	}
	return names
}

// Understands says whether the driver has the option of an axis.
func (d *Driver) Understands(axis string) bool { return slices.Contains(d.Options, axis) }

// lacks says what the driver cannot express of the cell, or "".
func (d *Driver) lacks(c *Cell) string {
	for _, o := range driverOptions {
		if value := c.Value(o.axis); !d.Understands(o.axis) && !slices.Contains(o.without, value) {
			return fmt.Sprintf("%s does not understand %s=%s", d.Name, o.axis, value)
		}
	}
	return ""
}

// Cells are those cells that are of the client Like, made the driver's: in their IDs the driver's name stands in the place of Like's.
func (d *Driver) Cells(cells []Cell) (own []Cell) {
	for _, c := range cells {
		if c.Client.Library != d.Like || c.Client.Driver != nil {
			continue
		}
		elements := strings.Split(c.ID, "/")
		for i, e := range slices.Backward(elements) { // the scenario may have a name like a client's
			if e == string(d.Like) {
				elements[i] = d.Name
				break
			}
		}
		c.ID, c.Client.Driver = strings.Join(elements, "/"), d
		own = append(own, c)
	}
	return own
}

// Pattern turns a pattern of the driver's cells into one of the client Like, whose cells are expanded.
func (d *Driver) Pattern(pattern string) string {
	elements := strings.Split(pattern, "/")
	for i, e := range elements {
		if e == d.Name {
			elements[i] = string(d.Like)
		}
	}
	return strings.Join(elements, "/")
}

var (
	driverKeys = []string{"name", "image", "command", "options", "like"}
	driverName = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,39}$`)
)

// LoadDriver reads a driver's file. A command is relative to the file's folder. The error joins every mistake in the file, each a
// *Problem; a file that is not there is fs.ErrNotExist.
func LoadDriver(path string) (*Driver, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("driver: %w", err)
	}
	r := &reader{file: path}
	d := &Driver{}
	if root := r.readYAML(source); root != nil && r.want(root, "the file", mapping) {
		r.driver(root, d)
	}
	if err := joinProblems(r.problems); err != nil {
		return nil, err
	}
	return d, nil
}

func (r *reader) driver(v *value, d *Driver) {
	entries := r.entriesOnce(v, "key")
	for _, e := range entries {
		switch e.key {
		case "name":
			r.driverName(e.value, d)
		case "image":
			d.Image, _ = r.nonEmptyText(e.value, e.key)
		case "command":
			r.driverCommand(e.value, d)
		case "options":
			r.driverOptions(e.value, d)
		case "like":
			r.driverLike(e.value, d)
		default:
			r.problem(e.position, fmt.Sprintf("unknown key %q of a driver", e.key), suggest(e.key, driverKeys))
		}
	}
	for _, key := range []string{"name", "options", "like"} {
		if !hasKey(entries, key) {
			r.problem(v.position, "the driver has no "+key, "want name, options, like, and image or command")
		}
	}
	if !hasKey(entries, "image") && !hasKey(entries, "command") {
		r.problem(v.position, "the driver has neither image nor command", "name the image that has the driver program, or the program to put into the client image of like")
	}
}

func (r *reader) driverName(v *value, d *Driver) {
	name, ok := r.nonEmptyText(v, "name")
	if !ok {
		return
	}
	if d.Name = name; !driverName.MatchString(name) {
		r.problem(v.position, fmt.Sprintf("name %q cannot be in the ID of a cell", name), "want a lower-case letter and up to 39 letters, digits, dots, underscores and hyphens")
	} else if _, known := Library(name).Info(); known {
		r.problem(v.position, name+" is a client of the matrix", "want a name that no client has")
	}
}

func (r *reader) driverCommand(v *value, d *Driver) {
	command, ok := r.nonEmptyText(v, "command")
	if !ok {
		return
	}
	if d.Command = command; !filepath.IsAbs(command) {
		d.Command = filepath.Join(filepath.Dir(r.file), command)
	}
	if info, err := os.Stat(d.Command); err != nil {
		r.problem(v.position, fmt.Sprintf("the program cannot be read: %v", err), "want the path of one file, relative to this one")
	} else if !info.Mode().IsRegular() {
		r.problem(v.position, d.Command+" is not a regular file", "want the path of one file, relative to this one")
	}
}

func (r *reader) driverOptions(v *value, d *Driver) {
	if !r.want(v, "options", list) {
		return
	}
	for _, item := range v.items {
		name, ok := r.nonEmptyText(item, "an option")
		switch {
		case !ok:
		case !slices.Contains(DriverOptions(), name):
			r.problem(item.position, fmt.Sprintf("%q is not an option", name), suggest(name, DriverOptions()))
		case d.Understands(name):
			r.problem(item.position, fmt.Sprintf("option %q is there twice", name), "leave one of them out")
		default:
			d.Options = append(d.Options, name)
		}
	}
}

func (r *reader) driverLike(v *value, d *Driver) {
	name, ok := r.nonEmptyText(v, "like")
	if !ok {
		return
	}
	d.Like = Library(name)
	var names []string
	for _, c := range Clients {
		if c.Kind != KindRaw { // what it sends is not what a library does
			names = append(names, string(c.Name))
		}
	}
	if !slices.Contains(names, name) {
		r.problem(v.position, fmt.Sprintf("there is no client %q to be like", name), suggest(name, names))
	}
}
