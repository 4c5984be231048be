package install

import (
	"strings"
	"testing"
)

func TestParseMirrors(t *testing.T) {
	lines := func(l ...string) string { return strings.Join(l, "\n") + "\n" }
	for _, tt := range []struct {
		name, targets string
		want          mirrors
	}{
		{
			"a usual host", lines(
				"bookworm\thttp://mirror.test/debian/\tmain\tDebian",
				"bookworm-updates\thttp://mirror.test/debian/\tmain\tDebian",
				"bookworm-security\thttp://mirror.test/security/\tmain\tDebian"),
			mirrors{main: "http://mirror.test/debian/", security: "http://mirror.test/security/"},
		},
		{
			"lists not fetched yet", lines("stable\tmirror+file:/etc/apt/mirrors/debian.list/\tmain\t$(ORIGIN)"),
			mirrors{main: "mirror+file:/etc/apt/mirrors/debian.list/"},
		},
		{
			"the first of two", lines(
				"bookworm\thttp://a.test/\tmain\tDebian", "trixie\thttp://b.test/\tmain\tDebian"),
			mirrors{main: "http://a.test/"},
		},
		{
			"third parties", lines(
				"bookworm\thttp://vendor.test/\tmain\tVendor", "nodistro\thttp://vendor.test/\tmain\t$(ORIGIN)",
				"bookworm\thttp://mirror.test/debian/\tcontrib\tDebian", "", "one field"),
			mirrors{},
		},
		{"only security", lines("trixie-security\thttp://s.test/\tmain\tDebian"), mirrors{security: "http://s.test/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseMirrors(tt.targets); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSourcesList(t *testing.T) {
	list := mirrors{main: "http://m.test/", security: "http://s.test/"}.sourcesList("trixie")
	for _, want := range []string{"http://m.test/ trixie main\n", "http://s.test/ trixie-security main\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q lacks %q", list, want)
		}
	}
	if list := (mirrors{main: "http://m.test/"}).sourcesList("trixie"); strings.Contains(list, "security") {
		t.Errorf("%q names an archive that the host has not", list)
	}
}

func TestParseDebName(t *testing.T) {
	got, err := parseDebName("qemu-system-x86_1%3a7.2+dfsg-7+deb12u18_amd64.deb")
	if err != nil || got.Name != "qemu-system-x86" || got.Version != "1:7.2+dfsg-7+deb12u18" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"x.deb", "../a_1_b.deb", "a_1_b_c.deb", "a_%zz_b.deb"} {
		if got, err := parseDebName(name); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
