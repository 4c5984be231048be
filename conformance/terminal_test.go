package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a docker command at a terminal of its own.
type terminal struct {
	t    *testing.T
	file *os.File
	cmd  *exec.Cmd

	mu  sync.Mutex
	out strings.Builder // everything that the terminal has shown
}

// onTerminal starts a docker command on a terminal of 33 rows and 111 columns.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	t.Cleanup(cancel)
	cmd := suite.engine.DockerCommand(ctx, args...)
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 111})
	if err != nil {
		t.Fatal(err)
	}
	return newTerminal(t, file, cmd)
}

// newTerminal collects what a started command shows.
func newTerminal(t *testing.T, file *os.File, cmd *exec.Cmd) *terminal {
	t.Helper()
	term := &terminal{t: t, file: file, cmd: cmd}
	t.Cleanup(func() { _ = file.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := file.Read(buf)
			term.mu.Lock()
			term.out.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (term *terminal) shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.out.String()
}

// expect waits until the terminal has shown a match of the expression.
func (term *terminal) expect(expression string) {
	term.t.Helper()
	re := regexp.MustCompile(expression)
	deadline := time.Now().Add(time.Minute)
	for !re.MatchString(term.shown()) {
		if time.Now().After(deadline) {
			term.t.Fatalf("the terminal does not show %q but %q", expression, term.shown())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (term *terminal) send(text string) {
	term.t.Helper()
	if _, err := term.file.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) resize(rows, cols uint16) {
	term.t.Helper()
	if err := pty.Setsize(term.file, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		term.t.Fatal(err)
	}
}

// code waits for the command's end and returns its exit code.
func (term *terminal) code() int {
	_ = term.cmd.Wait()
	return term.cmd.ProcessState.ExitCode()
}

// untilSize is a shell script that ends when the terminal has a size.
const untilSize = `until [ "$(stty size)" = "%s" ]; do sleep 0.1; done; echo size-is-%[2]s; `

func sizeScript(sizes ...string) string {
	var script strings.Builder
	for _, size := range sizes {
		fmt.Fprintf(&script, untilSize, size, strings.ReplaceAll(size, " ", "x"))
	}
	return script.String()
}

func TestTerminalFollowsItsSize(t *testing.T) {
	start(t)
	term := onTerminal(t, "run", "--rm", "-it", "--name", newName(t), "--runtime", underTest(), image,
		"sh", "-c", sizeScript("33 111", "44 122")+"exit 5")
	term.expect("size-is-33x111\r\n")
	term.resize(44, 122)
	term.expect("size-is-44x122\r\n")
	equal(t, "exit code", term.code(), 5)
}

func TestTerminalOfAShell(t *testing.T) {
	start(t)
	term := onTerminal(t, "run", "--rm", "-it", "--name", newName(t), "--runtime", underTest(), image,
		"bash", "--norc")
	term.expect(`# $`)
	term.send("tty; echo $((6*7))-answer\r")
	term.expect(`/dev/(console|pts/\d+)\r\n42-answer\r\n`)
	// The program says when it is ready for the key: before, the shell gets it.
	term.send(`sh -c 'trap "exit 5" INT; echo ready-$((1+1)); while :; do sleep 0.1; done'; echo code-$?` + "\r")
	term.expect(`ready-2\r\n`)
	term.send("\x03")
	term.expect(`code-5\r\n`)
	term.send("echo line-after-$((1+1))\r")
	term.expect(`line-after-2\r\n`)
	term.send("exit 9\r")
	equal(t, "exit code", term.code(), 9)
	equal(t, "times that the answer is shown", strings.Count(term.shown(), "42-answer"), 1)
}

func TestTerminalInterruptEndsTheEntrypoint(t *testing.T) {
	start(t)
	term := onTerminal(t, "run", "--rm", "-it", "--name", newName(t), "--runtime", underTest(), image,
		"bash", "-c", "trap 'echo got-int; exit 4' INT; echo ready; while :; do sleep 0.2; done")
	term.expect("ready\r\n")
	term.send("\x03")
	term.expect("got-int\r\n")
	equal(t, "exit code", term.code(), 4)
}

func TestTerminalInRawModeIsEightBitClean(t *testing.T) {
	start(t)
	term := onTerminal(t, "run", "--rm", "-it", "--name", newName(t), "--runtime", underTest(), image,
		"sh", "-c", "stty raw -echo; echo ready; head -c 6 | od -An -tx1; stty sane; echo over")
	term.expect("ready\n")
	term.send("\x03\x04\x1a\r\n\xff")
	term.expect("03 04 1a 0d 0a ff")
	term.expect("over\r\n")
	equal(t, "exit code", term.code(), 0)
}

func TestAttach(t *testing.T) {
	start(t)
	c := background(t, "-it", image, "sh", "-c", "read line; echo got-$line; "+sizeScript("33 111", "50 150")+"exit 6")
	term := onTerminal(t, "attach", c.name)
	// The terminal echoes only what the other end has taken.
	term.send("hello\r")
	term.expect("got-hello\r\n")
	term.expect("size-is-33x111\r\n")
	term.resize(50, 150)
	term.expect("size-is-50x150\r\n")
	equal(t, "exit code", term.code(), 6)
}

func TestAttachAndDetach(t *testing.T) {
	start(t)
	c := background(t, "-it", image, "sh", "-c", "read a; echo one-$a; read b; echo two-$b; exit 2")
	term := onTerminal(t, "attach", c.name)
	term.send("x\r")
	term.expect("one-x\r\n")
	term.send("\x10\x11") // Ctrl-P Ctrl-Q, docker's keys to detach
	term.code()
	equal(t, "running after detach", c.inspect("{{.State.Running}}"), "true")
	again := onTerminal(t, "attach", c.name)
	again.send("y\r")
	again.expect("two-y\r\n")
	equal(t, "exit code", again.code(), 2)
}

func TestExecOnTerminal(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	term := onTerminal(t, "exec", "-it", c.name, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all-ttys; "+
		sizeScript("33 111", "60 160")+"read line; echo got-$line; exit 8")
	term.expect("all-ttys\r\n")
	term.expect("size-is-33x111\r\n")
	term.resize(60, 160)
	term.expect("size-is-60x160\r\n")
	term.send("there\r")
	term.expect("got-there\r\n")
	equal(t, "exit code", term.code(), 8)
}

// TestDetachKeysOfAnExec leaves an exec by the keys that its caller chose. It
// lives on, and other keys are its input.
func TestDetachKeysOfAnExec(t *testing.T) {
	start(t)
	codes := map[string]int{}
	for _, runtime := range []string{"runc", underTest()} {
		c := backgroundOn(t, runtime, image, "sleep", "infinity")
		term := onTerminal(t, "exec", "-it", "--detach-keys", "ctrl-x,q", c.name, "sh", "-c",
			"stty raw -echo; echo begun; head -c 4 | od -An -tx1; : > /srv/left; until [ -e /srv/go ]; do sleep 0.1; done; echo done > /srv/end")
		term.expect("begun")
		term.send("\x10\x11\x18z") // Docker's own keys, and half of those
		term.expect("10 11 18 7a")
		term.send("\x18q")
		codes[runtime] = term.code()
		must(t, c.exec("touch", "/srv/go"))
		eventually(t, "the exec has lived on under "+runtime, func() bool { return c.exec("cat", "/srv/end").Stdout == "done\n" })
	}
	equal(t, "the client's exit code", codes[underTest()], codes["runc"])
}

func TestTerminalWithoutInput(t *testing.T) {
	start(t)
	// -t without -i: one stream, with the terminal's line ends.
	r := run(t, "-t", image, "sh", "-c", "echo out; echo err >&2")
	equal(t, "output", r.Stdout, "out\r\nerr\r\n")
}
