// Package lint checks the workflow and the manifests of a nightly run against what reads them: actionlint, kustomize and the types of Kubernetes'
// API. It is a module of its own, for its libraries are as many as those of all the rest.
package lint

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// workflow is as much of one as is asserted here.
type workflow struct {
	Env  map[string]any
	Jobs map[string]struct {
		Strategy struct {
			FailFast *bool `json:"fail-fast"`
			Matrix   struct{ Shard []int }
		}
	}
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := linter.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", "nightly.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var nightly workflow
	if err := yaml.Unmarshal(text, &nightly); err != nil {
		t.Fatal(err)
	}
	shard := nightly.Jobs["shard"].Strategy
	if n, ok := nightly.Env["SHARDS"].(float64); !ok || !slices.Equal(shard.Matrix.Shard, upTo(int(n))) {
		t.Errorf("SHARDS is %v and the jobs are %v", nightly.Env["SHARDS"], shard.Matrix.Shard)
	}
	if shard.FailFast == nil || *shard.FailFast {
		t.Error("a finding in one shard ends the others")
	}
}

// A mistake in a workflow is found: the linter does read it.
func TestLinterReads(t *testing.T) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := linter.Lint("x.yml", []byte("on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ matrix.shard }}\n"), nil)
	if err != nil || len(problems) == 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// manifests are what `kubectl apply -k` would send.
type manifests struct {
	jobs    map[string]*batch.CronJob
	configs map[string]*core.ConfigMap
	claims  map[string]*core.PersistentVolumeClaim
}

// strict decodes a document into a type of the API: an unknown field or a wrong type is an error.
func strict(document []byte, into any) error { return yaml.UnmarshalStrict(document, into) }

func build(t *testing.T, variant string) *manifests {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("..", "k8s", variant))
	if err != nil {
		t.Fatal(err)
	}
	m := &manifests{map[string]*batch.CronJob{}, map[string]*core.ConfigMap{}, map[string]*core.PersistentVolumeClaim{}}
	for _, r := range built.Resources() {
		document, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		switch r.GetKind() {
		case "CronJob":
			j := new(batch.CronJob)
			err = strict(document, j)
			m.jobs[j.Name] = j
		case "ConfigMap":
			c := new(core.ConfigMap)
			err = strict(document, c)
			m.configs[c.Name] = c
		case "PersistentVolumeClaim":
			c := new(core.PersistentVolumeClaim)
			err = strict(document, c)
			m.claims[c.Name] = c
		default:
			t.Errorf("%s: a kind that this test does not know", r.GetKind())
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.GetKind(), r.GetName(), err)
		}
	}
	return m
}

func TestManifests(t *testing.T) {
	for _, variant := range []string{"dind", "node"} {
		t.Run(variant, func(t *testing.T) {
			m := build(t, variant)
			shards, merge := m.jobs["pgauthmatrix-shards"], m.jobs["pgauthmatrix-merge"]
			if shards == nil || merge == nil || len(m.jobs) != 2 {
				t.Fatalf("jobs %v", m.jobs)
			}
			if shards.Spec.Schedule != merge.Spec.Schedule {
				t.Error("the two Jobs of a night are known by their time, and it differs")
			}
			for _, j := range m.jobs {
				m.refer(t, j)
			}
			spec := shards.Spec.JobTemplate.Spec
			if spec.CompletionMode == nil || *spec.CompletionMode != batch.IndexedCompletion || spec.BackoffLimitPerIndex == nil || *spec.BackoffLimitPerIndex != 1 {
				t.Error("the shards are no Indexed Job that tries each index again")
			}
			for _, c := range m.configs {
				if completions, err := json.Marshal(spec.Completions); err != nil || c.Data["SHARDS"] != string(completions) {
					t.Errorf("SHARDS is %s and there are %s completions", c.Data["SHARDS"], completions)
				}
			}
			actions := map[int32]batch.PodFailurePolicyAction{}
			for _, rule := range spec.PodFailurePolicy.Rules {
				if rule.OnExitCodes != nil {
					if *rule.OnExitCodes.ContainerName != "shard" || rule.OnExitCodes.Operator != batch.PodFailurePolicyOnExitCodesOpIn {
						t.Errorf("%+v", rule)
					}
					for _, v := range rule.OnExitCodes.Values {
						actions[v] = rule.Action
					}
				}
			}
			if len(actions) != 2 || actions[1] != batch.PodFailurePolicyActionFailIndex || actions[2] != batch.PodFailurePolicyActionFailJob {
				t.Errorf("findings end the index, bad input ends the Job, and anything else is tried again: %v", actions)
			}
			pod := spec.Template.Spec
			if pod.RestartPolicy != core.RestartPolicyNever {
				t.Error("podFailurePolicy needs restartPolicy Never")
			}
			privileged := slices.ContainsFunc(pod.InitContainers, func(c core.Container) bool { return c.SecurityContext != nil && *c.SecurityContext.Privileged })
			hostPath := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.HostPath != nil })
			if privileged != (variant == "dind") || hostPath != (variant == "node") {
				t.Errorf("privileged %t, host path %t", privileged, hostPath)
			}
		})
	}
}

// refer checks that what a Job's pod refers to is there: volumes, their sources, keys.
func (m *manifests) refer(t *testing.T, j *batch.CronJob) {
	t.Helper()
	pod := j.Spec.JobTemplate.Spec.Template.Spec
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && m.configs[v.ConfigMap.Name] == nil || v.PersistentVolumeClaim != nil && m.claims[v.PersistentVolumeClaim.ClaimName] == nil {
			t.Errorf("%s: volume %s has a source that is not there", j.Name, v.Name)
		}
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		engine := 0
		for _, v := range c.VolumeMounts {
			if !volumes[v.Name] {
				t.Errorf("%s: container %s mounts %s, which is not there", j.Name, c.Name, v.Name)
			}
			if v.Name == "engine" {
				engine++
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				ref := e.ValueFrom.ConfigMapKeyRef
				if config := m.configs[ref.Name]; config == nil || config.Data[ref.Key] == "" {
					t.Errorf("%s: %s comes from a key that is not there", j.Name, e.Name)
				}
			}
			if e.Name == "DOCKER_HOST" && engine != 1 {
				t.Errorf("%s: container %s has DOCKER_HOST and does not mount it", j.Name, c.Name)
			}
		}
		if len(c.Command) == 2 && strings.HasPrefix(c.Command[1], "/scripts/") {
			if script := filepath.Base(c.Command[1]); !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool {
				return v.ConfigMap != nil && m.configs[v.ConfigMap.Name] != nil && m.configs[v.ConfigMap.Name].Data[script] != ""
			}) {
				t.Errorf("%s: there is no %s", j.Name, script)
			}
		}
	}
}

// The decoder is strict: a field that the API does not have is an error.
func TestStrict(t *testing.T) {
	for _, document := range []string{"spec: {shedule: x}", "spec: {jobTemplate: {spec: {completions: four}}}"} {
		if err := strict([]byte(document), new(batch.CronJob)); err == nil {
			t.Errorf("%s was taken", document)
		}
	}
}
