package engine_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
)

// What becomes of a field of config.json.
const (
	toGuest     = "guest"     // it is in what the guest gets
	toMachine   = "machine"   // it shapes the machine
	toContainer = "container" // it stays, and bounds or places the container around the machine
	toWarning   = "warning"   // it has no effect, or not all of it, and the plan says so
	toError     = "error"     // no machine is made
	replaced    = "replaced"  // the container's own takes its place, for the reason beside it
)

// handled has a row for each field of the specification: what becomes of the
// value beside it. A row covers the fields below it as well.
var handled = map[string]struct{ value, how string }{
	"ociVersion":                               {`"1.0.0"`, toContainer},
	"process.terminal":                         {`true`, toGuest},
	"process.consoleSize":                      {`{"height":10,"width":20}`, toGuest},
	"process.user":                             {`{"uid":7,"gid":8,"umask":63,"additionalGids":[9]}`, toGuest},
	"process.args":                             {`["/other"]`, toGuest},
	"process.commandLine":                      {`"x"`, toWarning},
	"process.env":                              {`["A=b"]`, toGuest},
	"process.cwd":                              {`"/tmp"`, toGuest},
	"process.capabilities":                     {`{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"],"inheritable":["CAP_KILL"],"ambient":["CAP_KILL"]}`, toGuest},
	"process.rlimits":                          {`[{"type":"RLIMIT_CORE","hard":2,"soft":1}]`, toGuest},
	"process.noNewPrivileges":                  {`true`, toGuest},
	"process.apparmorProfile":                  {`"docker-default"`, toContainer},
	"process.oomScoreAdj":                      {`7`, toGuest},
	"process.scheduler":                        {`{"policy":"SCHED_BATCH"}`, toContainer},
	"process.selinuxLabel":                     {`"system_u:system_r:container_t:s0"`, toContainer},
	"process.ioPriority":                       {`{"class":"IOPRIO_CLASS_IDLE","priority":1}`, toContainer},
	"process.execCPUAffinity":                  {`{"initial":"0"}`, toContainer},
	"root.path":                                {`"/elsewhere"`, toContainer + " is the tool root; the facts have the image's"},
	"root.readonly":                            {`true`, toMachine},
	"hostname":                                 {`"other"`, toGuest},
	"domainname":                               {`"example.org"`, toGuest},
	"mounts":                                   {`[{"destination":"/data","type":"bind","source":"/srv","options":["rbind","ro"]}]`, toGuest},
	"mounts.uidMappings":                       {`[{"destination":"/t","type":"tmpfs","uidMappings":[{"size":1}]}]`, toWarning},
	"hooks.prestart":                           {`[{"path":"/bin/hook"}]`, toContainer},
	"hooks.createRuntime":                      {`[{"path":"/bin/hook"}]`, toContainer},
	"hooks.createContainer":                    {`[{"path":"/bin/hook"}]`, toContainer},
	"hooks.startContainer":                     {`[{"path":"/bin/hook"}]`, toError},
	"hooks.poststart":                          {`[{"path":"/bin/hook"}]`, toContainer},
	"hooks.poststop":                           {`[{"path":"/bin/hook"}]`, toContainer},
	"annotations":                              {`{"a":"b"}`, toContainer},
	"linux.uidMappings":                        {`[{"containerID":0,"hostID":1000,"size":10}]`, toError},
	"linux.gidMappings":                        {`[{"containerID":0,"hostID":1000,"size":10}]`, toError},
	"linux.sysctl":                             {`{"kernel.msgmax":"1"}`, toGuest},
	"linux.cgroupsPath":                        {`"/other"`, toContainer},
	"linux.namespaces":                         {`[{"type":"pid"},{"type":"ipc","path":"/proc/7/ns/ipc"},{"type":"network"},{"type":"mount"}]`, toWarning},
	"linux.devices":                            {`[{"path":"/dev/ttyS0","type":"c","major":4,"minor":64}]`, toError},
	"linux.netDevices":                         {`{"eth9":{"name":"eth9"}}`, toWarning},
	"linux.seccomp":                            {`{"defaultAction":"SCMP_ACT_ALLOW"}`, toGuest},
	"linux.rootfsPropagation":                  {`"rshared"`, toWarning},
	"linux.maskedPaths":                        {`["/proc/keys"]`, toGuest},
	"linux.readonlyPaths":                      {`["/proc/sys"]`, toGuest},
	"linux.mountLabel":                         {`"system_u:object_r:container_file_t:s0"`, toContainer},
	"linux.intelRdt":                           {`{"closID":"x"}`, toWarning},
	"linux.memoryPolicy":                       {`{"mode":"MPOL_INTERLEAVE","nodes":"0"}`, toContainer},
	"linux.personality":                        {`{"domain":"LINUX32"}`, toWarning},
	"linux.timeOffsets":                        {`{"monotonic":{"secs":86400}}`, toWarning},
	"linux.resources.devices":                  {`[{"allow":true,"access":"rwm"}]`, replaced + ": the rules guard the host's devices, of which the machine's processes get their own few"},
	"linux.resources.memory.limit":             {`1073741824`, toMachine},
	"linux.resources.memory.reservation":       {`1048576`, toContainer},
	"linux.resources.memory.swap":              {`4294967296`, toContainer},
	"linux.resources.memory.kernel":            {`1048576`, toContainer},
	"linux.resources.memory.kernelTCP":         {`1048576`, toContainer},
	"linux.resources.memory.swappiness":        {`7`, toContainer},
	"linux.resources.memory.disableOOMKiller":  {`true`, toContainer},
	"linux.resources.memory.useHierarchy":      {`true`, toContainer},
	"linux.resources.memory.checkBeforeUpdate": {`true`, toContainer},
	"linux.resources.cpu.shares":               {`512`, toContainer},
	"linux.resources.cpu.quota":                {`250000`, toMachine},
	"linux.resources.cpu.burst":                {`1000`, toContainer},
	"linux.resources.cpu.period":               {`50000`, toContainer},
	"linux.resources.cpu.realtimeRuntime":      {`1000`, toContainer},
	"linux.resources.cpu.realtimePeriod":       {`1000`, toContainer},
	"linux.resources.cpu.cpus":                 {`"0-1"`, toMachine},
	"linux.resources.cpu.mems":                 {`"0"`, toContainer},
	"linux.resources.cpu.idle":                 {`1`, toContainer},
	"linux.resources.pids":                     {`{"limit":7}`, toGuest},
	"linux.resources.blockIO":                  {`{"weight":100}`, toContainer},
	"linux.resources.hugepageLimits":           {`[{"pageSize":"2MB","limit":1}]`, toContainer},
	"linux.resources.network":                  {`{"classID":7}`, toWarning},
	"linux.resources.rdma":                     {`{"mlx5":{"hcaHandles":1}}`, toWarning},
	"linux.resources.unified":                  {`{"memory.high":"1"}`, toContainer},
	"solaris":                                  {`{"milestone":"x"}`, toWarning},
	"windows":                                  {`{"servicing":true}`, toWarning},
	"vm":                                       {`{"kernel":{"path":"/boot/vmlinuz"}}`, toWarning},
	"zos":                                      {`{"namespaces":[]}`, toWarning},
	"freebsd":                                  {`{"devices":[{"path":"x"}]}`, toWarning},
}

// TestEveryFieldIsHandled fails for a field of the specification that has no
// row: nothing of a config.json may be dropped in silence.
func TestEveryFieldIsHandled(t *testing.T) {
	rows := slices.Sorted(maps.Keys(handled))
	for _, field := range fieldsOf(reflect.TypeFor[specs.Spec](), "") {
		if !slices.ContainsFunc(rows, func(row string) bool { return field == row || strings.HasPrefix(field, row+".") }) {
			t.Errorf("nothing is said of %s", field)
		}
	}
}

// fieldsOf lists the JSON paths of a type's fields.
func fieldsOf(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return []string{prefix}
	}
	var fields []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if prefix != "" && name != "" {
			name = prefix + "." + name
		}
		fields = append(fields, fieldsOf(f.Type, name)...)
	}
	return fields
}

// TestFieldsHaveTheirEffect compiles each row's value.
func TestFieldsHaveTheirEffect(t *testing.T) {
	base, _, _ := compileConfig(t, readFile(t, "testdata/docker.json"))
	for path, row := range handled {
		t.Run(path, func(t *testing.T) {
			how, _, _ := strings.Cut(row.how, " ")
			config := patched(t, readFile(t, "testdata/docker.json"), []byte(nested(path, row.value)))
			p, container, failed := compileConfig(t, config)
			if failed != (how == toError) {
				t.Fatalf("failed: %t", failed)
			}
			switch strings.TrimSuffix(how, ":") {
			case toGuest:
				if cmp.Equal(base.Guest, p.Guest) {
					t.Error("the guest does not learn of it")
				}
			case toMachine:
				if cmp.Equal(base.Machine, p.Machine) && cmp.Equal(base.Rootfs, p.Rootfs) {
					t.Error("the machine is the same")
				}
			case toWarning:
				if len(p.Warnings) != len(base.Warnings)+1 {
					t.Errorf("warnings: %+v", p.Warnings)
				}
			case toContainer:
				if path == "root.path" || strings.HasSuffix(path, "memory.swap") {
					return // in its own way
				}
				var want any
				if err := json.Unmarshal([]byte(row.value), &want); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, valueAt(t, container, path)); diff != "" {
					t.Errorf("the container has another (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// compileConfig returns the plan and the container's config.json.
func compileConfig(t *testing.T, config []byte) (p *plan.Plan, container []byte, failed bool) {
	t.Helper()
	doc, err := ocispec.Parse(config, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	facts := hostFacts(t)
	p, diags := engine.Compile(resolve(t, "", &doc.Spec, facts), &doc.Spec, facts)
	if diags.HasErrors() {
		return p, nil, true
	}
	ocispec.Apply(doc, &p.OCI)
	container, err = doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return p, container, false
}

// nested writes a value at a path as a JSON document.
func nested(path, value string) string {
	if strings.HasPrefix(path, "mounts.") {
		path = "mounts" // a list: the value is all of it
	}
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		value = `{"` + key + `":` + value + `}`
	}
	return value
}

func valueAt(t *testing.T, document []byte, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		t.Fatal(err)
	}
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}
