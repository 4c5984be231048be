package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// databaseLimit is how long a database server may take to start, or to recover:
// in software translation on a busy machine, minutes.
const databaseLimit = 4 * time.Minute

// databaseImage is an image of Debian's MariaDB server. Its database is made
// again, with a log that is small enough for many copies.
func databaseImage(t *testing.T) string {
	t.Helper()
	return initImage(t, "mariadb", `RUN rm -rf /var/lib/mysql/* && mkdir -p /run/mysqld && chown mysql: /run/mysqld && \
    printf '[server]\nbind-address = 0.0.0.0\nskip-name-resolve\ninnodb-log-file-size = 4M\ninnodb-buffer-pool-size = 16M\ninnodb-flush-log-at-trx-commit = 1\ninit-file = /init.sql\n' > /etc/mysql/mariadb.conf.d/99-test.cnf && \
    echo "GRANT ALL ON *.* TO app IDENTIFIED BY 'secret';" > /init.sql && \
    mariadb-install-db --user=mysql --skip-test-db >/dev/null
ENTRYPOINT ["mariadbd", "--user=mysql"]
`)
}

// TestDatabase has MariaDB serve clients on a user network, which find it by
// name, from a machine and from runc. Its data are in a volume of the host's, or
// on a disk of the machine's; they outlive a restart and, once committed, a kill.
func TestDatabase(t *testing.T) {
	start(t)
	vmOnly(t)
	network := newNetwork(t)
	exchange, folder := newVolume(t)
	tag := databaseImage(t)
	for place, options := range map[string][]string{
		"volume": {"--volume", "%s:/var/lib/mysql"},
		"disk":   {"--volume", "%s:/disks", "--env", "RUNCVM_DISKS=/disks/mysql,/var/lib/mysql,ext4,300M"},
	} {
		t.Run(place, func(t *testing.T) {
			volume, _ := newVolume(t)
			options[1] = fmt.Sprintf(options[1], volume)
			alias := "db-" + place
			options = append(options, "--volume", exchange+":/exchange", "--network", network, "--network-alias", alias, "--memory", "512m")
			c := background(t, append(options, tag)...)
			ask := func(runtime, statements string) harness.Result {
				t.Helper()
				return runOn(t, runtime, nil, "--network", network, "--entrypoint", "mariadb", tag,
					"--host", alias, "--user", "app", "--password=secret", "--batch", "--skip-column-names", "--execute", statements)
			}
			started := func(times int) {
				t.Helper()
				within(t, databaseLimit, "the server is ready", func() bool {
					return strings.Count(c.logs().Stderr, "ready for connections") == times
				})
			}
			started(1)
			must(t, ask(underTest(), `CREATE DATABASE shop; USE shop;
				CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(40), KEY (name)) ENGINE=InnoDB;
				INSERT INTO item SELECT seq, CONCAT('item ', seq) FROM seq_1_to_5000;
				UPDATE item SET name = 'grüße' WHERE id = 7`))
			want(t, ask("runc", "SELECT COUNT(*), SUM(id) FROM shop.item; SELECT name FROM shop.item WHERE id = 7"),
				harness.Result{Stdout: "5000\t12502500\ngrüße\n"})
			if r := ask("runc", "SELECT * FROM shop.nothing"); r.Code == 0 || !strings.Contains(r.Stderr, "shop.nothing") {
				t.Errorf("a table that is not there: %+v", r)
			}

			// Files of the server's user, in a volume that the host sees.
			if err := os.Chmod(folder, 0o777); err != nil {
				t.Fatal(err)
			}
			must(t, ask("runc", "SELECT id FROM shop.item WHERE id < 4 ORDER BY id INTO OUTFILE '/exchange/"+place+"'"))
			equal(t, "the server's file", content(t, filepath.Join(folder, place)), "1\n2\n3\n")

			must(t, docker(t, "restart", "--time", stopLimit, c.name))
			started(2)
			must(t, ask("runc", "INSERT INTO shop.item VALUES (10000, 'after the restart')"))
			must(t, docker(t, "kill", c.name))
			must(t, docker(t, "start", c.name))
			started(3)
			want(t, ask("runc", "SELECT COUNT(*), MAX(id) FROM shop.item; CHECK TABLE shop.item"),
				harness.Result{Stdout: "5001\t10000\nshop.item\tcheck\tstatus\tOK\n"})
			must(t, docker(t, "stop", "--time", stopLimit, c.name))
			equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
		})
	}
}
