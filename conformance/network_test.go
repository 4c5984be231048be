package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// newNetwork makes a user network that the test's end removes.
func newNetwork(t *testing.T, options ...string) string {
	t.Helper()
	name := fmt.Sprintf("n%d", names.Add(1))
	must(t, docker(t, append(append([]string{"network", "create"}, options...), name)...))
	t.Cleanup(func() {
		remove(t, "network", "rm", name)
	})
	return name
}

// TestUserNetwork has two containers on the runtime under test and one on runc
// reach each other by name.
func TestUserNetwork(t *testing.T) {
	start(t)
	network := newNetwork(t)
	members := map[string]*container{}
	for _, m := range []struct{ alias, runtime string }{{"one", underTest()}, {"two", underTest()}, {"three", "runc"}} {
		// Nothing answers at the upstream, so that unknown names fail at once.
		members[m.alias] = backgroundOn(t, m.runtime, "--network", network, "--network-alias", m.alias,
			"--dns", "127.0.0.1", probeImage, "probe", "serve", ":7")
	}
	for from, c := range members {
		for to, target := range members {
			if from == to {
				continue
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				c := &container{t: t, name: c.name}
				want(t, c.exec("probe", "echo", to+":7", "1000"), harness.Result{Stdout: "1000 bytes echoed\n"})
				want(t, c.exec("probe", "echo", target.name+":7", "10"), harness.Result{Stdout: "10 bytes echoed\n"})
			})
		}
	}
	for _, transport := range []string{"udp", "tcp"} {
		t.Run("DNS by "+transport, func(t *testing.T) {
			c := &container{t: t, name: members["one"].name}
			address := (&container{t: t, name: members["two"].name}).inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
			want(t, c.exec("probe", "dns", transport, "127.0.0.11:53", "two"), harness.Result{Stdout: address + "\n"})
			if r := c.exec("probe", "dns", transport, "127.0.0.11:53", "nobody.invalid"); r.Code == 0 {
				t.Errorf("a name that nobody has resolves: %+v", r)
			}
		})
	}
	t.Run("32 MiB both ways between two and one", func(t *testing.T) {
		c := &container{t: t, name: members["two"].name}
		want(t, c.exec("probe", "echo", "one:7", "33554432"), harness.Result{Stdout: "33554432 bytes echoed\n"})
	})
	t.Run("a member that came later", func(t *testing.T) {
		backgroundOn(t, "runc", "--network", network, "--network-alias", "late", probeImage, "probe", "serve", ":7")
		c := &container{t: t, name: members["one"].name}
		want(t, c.exec("probe", "echo", "late:7", "10"), harness.Result{Stdout: "10 bytes echoed\n"})
	})
}

// TestPublishedPort speaks to a published port from the host, by the bridge's
// address rules and by docker's proxy.
func TestPublishedPort(t *testing.T) {
	e := start(t)
	c := background(t, "--publish", "127.0.0.1::7", "--publish", "172.28.77.1::7", probeImage, "probe", "serve", ":7")
	for _, address := range strings.Fields(must(t, docker(t, "port", c.name, "7/tcp"))) {
		t.Run(address, func(t *testing.T) {
			var line string
			eventually(t, "an answer from "+address, func() bool {
				err := e.OnHost(func() error {
					conn, err := net.DialTimeout("tcp", address, 5*time.Second)
					if err != nil {
						return err
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
					fmt.Fprintln(conn, "hello")
					line, err = bufio.NewReader(conn).ReadString('\n')
					return err
				})
				return err == nil
			})
			equal(t, "echo", line, "hello\n")
		})
	}
}

// TestResolverReachesItsUpstream asks docker's resolver for a name that only
// the server of --dns knows.
func TestResolverReachesItsUpstream(t *testing.T) {
	e := start(t)
	network := newNetwork(t, "--subnet", "172.30.5.0/24", "--gateway", "172.30.5.1")
	var server net.PacketConn
	if err := e.OnHost(func() (err error) {
		server, err = net.ListenPacket("udp4", "172.30.5.1:53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go answer(server, net.IPv4(192, 0, 2, 55))
	r := run(t, "--network", network, "--dns", "172.30.5.1", image, "getent", "ahostsv4", "upstream.example")
	if got := strings.Fields(must(t, r))[0]; got != "192.0.2.55" {
		t.Errorf("upstream.example is %s", got)
	}
}

// answer is a DNS server that has one address for every question of type A and
// none for the others (RFC 1035, 4.1).
func answer(conn net.PacketConn, ip net.IP) {
	buf := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		query := buf[:n]
		end := bytes.IndexByte(query[12:], 0)
		if end < 0 || 12+end+5 > n {
			continue
		}
		question := query[12 : 12+end+5]
		var reply bytes.Buffer
		reply.Write(query[:2])                   // ID
		reply.Write([]byte{0x81, 0x80, 0, 1, 0}) // response, recursion available; one question
		isA := bytes.Equal(question[end+1:end+3], []byte{0, 1})
		if isA {
			reply.WriteByte(1)
		} else {
			reply.WriteByte(0)
		}
		reply.Write([]byte{0, 0, 0, 0})
		reply.Write(question)
		if isA {
			// A pointer to the question's name, A, IN, 60 s, 4 bytes.
			reply.Write([]byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4})
			reply.Write(ip.To4())
		}
		_, _ = conn.WriteTo(reply.Bytes(), from)
	}
}

// TestInterfacesAreThoseOfAContainer compares names, MAC, MTU, addresses,
// routes and the resolver's files with runc's.
func TestInterfacesAreThoseOfAContainer(t *testing.T) {
	start(t)
	network := newNetwork(t, "--subnet", "172.30.6.0/24", "--opt", "com.docker.network.driver.mtu=1400")
	same(t, "--network", network, "--ip", "172.30.6.9", "--hostname", "h",
		"--add-host", "extra.example:192.0.2.7", "--dns", "127.0.0.1", "--dns-search", "search.example", "--dns-option", "ndots:3",
		probeImage, "sh", "-c", `probe interfaces | cut -d " " -f 1,3-
			cat /proc/net/route /etc/hosts /etc/resolv.conf /etc/hostname; getent hosts extra.example h`)

	c := background(t, "--network", network, probeImage, "sleep", "infinity")
	equal(t, "interface", strings.TrimSpace(must(t, c.exec("probe", "interfaces"))),
		"eth0 "+c.inspect("{{range .NetworkSettings.Networks}}{{.MacAddress}} 1400 {{.IPAddress}}/{{.IPPrefixLen}}{{end}}"))
}

func TestNetworkNone(t *testing.T) {
	start(t)
	same(t, "--network", "none", "--hostname", "h", probeImage, "sh", "-c",
		"ls /sys/class/net; probe interfaces; cat /proc/net/route /etc/resolv.conf; cat /etc/hosts")
	c := background(t, "--network", "none", image, "sleep", "infinity")
	want(t, c.exec("echo", "exec works"), harness.Result{Stdout: "exec works\n"})
}

func TestLoopbackWorks(t *testing.T) {
	start(t)
	r := run(t, "--network", "none", probeImage, "sh", "-c", "probe serve 127.0.0.1:7 & probe echo 127.0.0.1:7 100")
	want(t, r, harness.Result{Stdout: "100 bytes echoed\n"})
}

func TestIPv6Network(t *testing.T) {
	start(t)
	network := newNetwork(t, "--ipv6", "--subnet", "fd12:3456:789a::/64", "--subnet", "172.30.7.0/24")
	options := []string{
		"--network", network, "--ip", "172.30.7.20", "--ip6", "fd12:3456:789a::20",
	}
	same(t, append(options, probeImage, "sh", "-c",
		"probe interfaces | cut -d ' ' -f 1,3-; grep -v fe80 /proc/net/ipv6_route | awk '{print $1, $2, $5, $NF}' | grep -v ' lo$' | grep -v ^ff00 | sort")...)
	server := backgroundOn(t, "runc", "--network", network, "--network-alias", "peer", probeImage, "probe", "serve", ":7")
	address := server.inspect("{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}")
	r := run(t, append(options, probeImage, "sh", "-c", "probe echo ["+address+"]:7 100000; probe echo peer:7 10")...)
	want(t, r, harness.Result{Stdout: "100000 bytes echoed\n10 bytes echoed\n"})
}

func TestTwoNetworks(t *testing.T) {
	start(t)
	first, second := newNetwork(t, "--subnet", "172.30.8.0/24"), newNetwork(t, "--subnet", "172.30.9.0/24")
	name := newName(t)
	must(t, docker(t, "create", "--name", name, "--runtime", underTest(), "--network", first, probeImage, "probe", "serve", ":7"))
	must(t, docker(t, "network", "connect", "--ip", "172.30.9.77", "--alias", "both", second, name))
	must(t, docker(t, "start", name))
	r := runOn(t, "runc", nil, "--network", second, probeImage, "probe", "echo", "both:7", "5000")
	want(t, r, harness.Result{Stdout: "5000 bytes echoed\n"})
	interfaces := must(t, (&container{t: t, name: name}).exec("probe", "interfaces"))
	equal(t, "interfaces", strings.Count(interfaces, "\n"), 2)
}

func TestRefusalByTheGateway(t *testing.T) {
	start(t)
	// Nothing listens on the gateway: the refusal has to come back at once.
	r := run(t, image, "timeout", "10", "bash", "-c", "exec 3<>/dev/tcp/172.28.77.1/9")
	if r.Code != 1 || !strings.Contains(r.Stderr, "Connection refused") {
		t.Errorf("got %+v", r)
	}
}
