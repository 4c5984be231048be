package conformance

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// manyFilesLimit is how long all of SOAK_FILES may take: a hundred thousand, in
// software translation on a busy machine, an hour.
const manyFilesLimit = 90 * time.Minute

// manyFiles makes that many small files in one folder and tells what it finds:
// how many there are, how long they are together, what is left of every second
// one, and after the end of all.
const manyFiles = `my ($dir, $n) = @ARGV; mkdir $dir or die "$dir: $!"; chdir $dir or die $!;
	for (1..$n) { open my $f, ">", $_ or die "make $_: $!"; print $f "file $_\n"; close $f or die $! }
	sub names { opendir my $d, "."; grep !/^\.\.?$/, readdir $d }
	sub bytes { my $sum = 0; for (names()) { my @s = stat or die "stat $_: $!"; $sum += $s[7] } $sum }
	print scalar(names()), " files, ", bytes(), " bytes\n";
	open my $f, "<", $n or die $!; print scalar <$f>;
	for (1..$n) { $_ % 2 and (unlink or die "remove $_: $!") }
	print scalar(names()), " files, ", bytes(), " bytes\n";
	for (names()) { unlink or die "remove $_: $!" }
	chdir "/"; rmdir $dir or die "$dir: $!"; print "gone\n"`

// TestManyFiles makes, lists and removes SOAK_FILES files in the root and in a
// volume, both at the same time.
func TestManyFiles(t *testing.T) {
	start(t)
	count := number(t, "SOAK_FILES", 400)
	said := map[string]string{}
	for _, runtime := range []string{"runc", underTest()} {
		volume, _ := newVolume(t)
		begun := time.Now()
		c := backgroundOn(t, runtime, "--volume", volume+":/volume", image, "sh", "-ec",
			`for d in /srv /volume; do perl -e "$1" $d/many $2 > $d/said 2>&1 & pids="$pids $!"; done; wait $pids; cat /srv/said /volume/said; ls -A /srv /volume`,
			"sh", manyFiles, fmt.Sprint(count))
		within(t, manyFilesLimit, "the files are made and removed", func() bool { return c.inspect("{{.State.Running}}") == "false" })
		equal(t, "exit code and standard error", c.inspect("{{.State.ExitCode}}")+c.logs().Stderr, "0")
		said[runtime] = c.logs().Stdout
		t.Logf("%s: %d files in each of two folders took %s", runtime, count, time.Since(begun).Round(time.Second))
	}
	if got := said["runc"]; !strings.HasPrefix(got, fmt.Sprintf("%d files, ", count)) {
		t.Fatalf("runc says %q", got)
	}
	equal(t, "what the files were", said[underTest()], said["runc"])
}

// TestMoreFilesThanDescriptors has a guest come to know more files than virtiofsd
// may have descriptors: the C virtiofsd holds one for each.
func TestMoreFilesThanDescriptors(t *testing.T) {
	start(t)
	vmOnly(t)
	const limit, count = 1500, 4000
	b := newBundle(t, process(map[string]any{
		"args": []string{"perl", "-e", manyFiles, "/srv/many", strconv.Itoa(count)},
	}))
	cmd := b.command("run", "--bundle", b.dir, b.id())
	limited := exec.CommandContext(t.Context(), "prlimit", append([]string{fmt.Sprintf("--nofile=%d:%d", limit, limit), "--", cmd.Path}, cmd.Args[1:]...)...)
	r, err := harness.Run(limited, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(step int) (n int) {
		for i := step; i <= count; i += step {
			n += len(fmt.Sprintf("file %d\n", i))
		}
		return n
	}
	r.Stderr = withoutWarnings(r.Stderr)
	equal(t, "what the guest says", r, harness.Result{Stdout: fmt.Sprintf("%d files, %d bytes\nfile %d\n%d files, %d bytes\ngone\n", count, bytes(1), count, count/2, bytes(2))})
}
