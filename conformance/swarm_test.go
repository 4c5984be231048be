package conformance

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// swarmService is an HTTP server that tells its node's name and who asks.
const swarmService = `mkdir -p /www/cgi-bin
printf "#!/bin/sh\necho; echo \"\$NODE \$REMOTE_ADDR\"\n" > /www/cgi-bin/who
chmod 755 /www/cgi-bin/who
exec httpd -f -h /www`

// TestSwarm joins the Docker engines of SWARM_NODES machines to a swarm. A
// service runs on every node and answers at the published port of every node,
// whichever it runs on: from the host through a node's firewall, its IPVS and the
// ingress network's VXLAN to the others.
func TestSwarm(t *testing.T) {
	if os.Getenv("SWARM_NODES") == "" {
		t.Skip("SWARM_NODES is not set: several Docker engines take minutes in software translation; \"make soak\" runs them")
	}
	e := alone(t) // three engines have no room for others beside them
	vmOnly(t)
	begun := time.Now()
	network := newNetwork(t, "--opt", "com.docker.network.driver.mtu=9000")
	var nodes []*container
	answers := map[string]bool{}
	for i := range number(t, "SWARM_NODES", 3) {
		name := fmt.Sprintf("node%d", i+1)
		answers[name] = true
		// The pull of the local image fails at once. dockerd calls iptables very often;
		// the old one is the quicker in software translation.
		nodes = append(nodes, background(t, "--privileged", "--label", "runcvm.profile=docker", "--memory", "512m",
			"--network", network, "--add-host", "registry-1.docker.io:127.0.0.1", "--hostname", name, "--publish", "127.0.0.1::80",
			dockerdImage(t), "sh", "-c", "update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy; "+dockerdCommand))
	}
	manager := nodes[0]
	for _, n := range nodes {
		n.engineListens(1)
		n.inside(importLocal)
	}
	t.Logf("after %s the engines listen", time.Since(begun).Round(time.Second))

	// Nodes that are slow to say that they live do not count as dead.
	token := strings.TrimSpace(manager.inside("docker swarm init --advertise-addr eth0 --dispatcher-heartbeat 60s >/dev/null; docker swarm join-token --quiet worker"))
	for _, n := range nodes[1:] {
		n.inside(fmt.Sprintf("docker swarm join --advertise-addr eth0 --token %s %s:2377", token, manager.name))
	}
	equal(t, "nodes", manager.inside("docker node ls --format '{{.Hostname}} {{.Status}}' | sort"),
		strings.Join(slices.Sorted(maps.Keys(answers)), " Ready\n")+" Ready\n")
	t.Logf("after %s they are a swarm", time.Since(begun).Round(time.Second))

	service := "docker service create --detach --no-resolve-image --name web --mode global --publish 80:80 --stop-grace-period 1s " +
		"--env NODE={{.Node.Hostname}} local sh -c '" + swarmService + "'"
	within(t, dockerdLimit, "the manager takes the service", func() bool {
		r := manager.exec("sh", "-c", service)
		if r.Code != 0 && !strings.Contains(r.Stderr, "already exists") && !strings.Contains(r.Stderr, "DeadlineExceeded") {
			t.Fatalf("docker service create: %+v", r)
		}
		return r.Code == 0 || strings.Contains(r.Stderr, "already exists")
	})
	for _, n := range nodes {
		address, answered := n.published("80"), map[string]bool{}
		within(t, dockerdLimit, "the service of every node answers at "+address, func() bool {
			page, err := httpGet(e, address, "/cgi-bin/who")
			if err != nil {
				return false
			}
			node, from, _ := strings.Cut(page, " ")
			if !answers[node] || !strings.Contains(from, "10.0.0.") {
				t.Fatalf("the answer at %s is %q, want a node's name and an address of the ingress network", address, page)
			}
			answered[node] = true
			return maps.Equal(answered, answers)
		})
	}
	t.Logf("after %s every node answers at every node's port", time.Since(begun).Round(time.Second))
	equal(t, "MTU of a node's interface", manager.inside("cat /sys/class/net/eth0/mtu"), "9000\n")
}
