package pgimages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAptProgress(t *testing.T) {
	for _, test := range []struct{ name, said, want string }{
		{"nothing to install", "Step 1/2 : FROM x\n", "Step 1/2 : FROM x\n"},
		{"before apt 3", "Get:1 http://m.example trixie InRelease\n0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\nGet:1 http://m.example a\nGet:2 http://m.example b\n" +
			"Unpacking a (1) ...\nUnpacking b (1) ...\n  Setting up a (1) ...\nSetting up b (1) ...\nProcessing triggers\n",
			"Get:1 http://m.example trixie InRelease\n0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\n16% Get:1 http://m.example a\n33% Get:2 http://m.example b\n" +
				"50% Unpacking a (1) ...\n66% Unpacking b (1) ...\n83% Setting up a (1) ...\n99% Setting up b (1) ...\n99% Processing triggers\n"},
		{"since apt 3", "Summary:\n  Upgrading: 0, Installing: 1, Removing: 0, Not Upgrading: 3\nUnpacking a\n", "Summary:\nUpgrading: 0, Installing: 1, Removing: 0, Not Upgrading: 3\n33% Unpacking a\n"},
		{"a second call", "0 upgraded, 1 newly installed, 0 to remove\nUnpacking a\nSetting up a\n0 upgraded, 9 newly installed, 0 to remove\nUnpacking b\n",
			"0 upgraded, 1 newly installed, 0 to remove\n33% Unpacking a\n66% Setting up a\n66% 0 upgraded, 9 newly installed, 0 to remove\n66% Unpacking b\n"},
		{"a number that is none", "99999999999999999999 newly installed\nUnpacking a\n", "99999999999999999999 newly installed\nUnpacking a\n"},
	} {
		var p aptProgress
		var got strings.Builder
		for line := range strings.Lines(test.said) {
			got.WriteString(p.mark(line) + "\n")
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
	}
}
