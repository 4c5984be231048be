package dockerrun

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Labels are those that docker run gives the container, by name.
func (o *Options) Labels() (map[string]string, error) {
	lines, err := fromFiles(o.labelFiles, o.labels)
	if err != nil {
		return nil, err
	}
	return pairs(lines), nil
}

// pairs are those of NAME=VALUE or NAME, which is an empty value; the last of a name
// wins. There is no map without lines.
func pairs(lines []string) map[string]string {
	if len(lines) == 0 {
		return nil
	}
	values := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		values[name] = value
	}
	return values
}

// environment lists the variables that docker run sets. One without a value is
// that of the caller, if there is one.
func (o *Options) environment() ([]string, error) {
	lines, err := fromFiles(o.envFiles, o.env)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, line := range lines {
		if !strings.Contains(line, "=") {
			value, ok := os.LookupEnv(line)
			if !ok {
				continue
			}
			line += "=" + value
		}
		env = append(env, line)
	}
	return env, nil
}

// fromFiles puts the lines of files before what stands on the command line.
func fromFiles(files, given []string) ([]string, error) {
	var lines []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("docker run's flags: %w", err)
		}
		scanner := bufio.NewScanner(f)
		for scanner.Scan() {
			line := strings.TrimLeft(scanner.Text(), " \t")
			if line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		err = scanner.Err()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("docker run's flags: read %s: %w", name, err)
		}
	}
	return append(lines, given...), nil
}

// merge puts assignments over others of the same names, which keep their
// places.
func merge(env, over []string) []string {
	merged := append([]string{}, env...)
	for _, assignment := range over {
		name, _, _ := strings.Cut(assignment, "=")
		found := false
		for i, have := range merged {
			if strings.HasPrefix(have, name+"=") {
				merged[i], found = assignment, true
			}
		}
		if !found {
			merged = append(merged, assignment)
		}
	}
	return merged
}
