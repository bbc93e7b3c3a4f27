package messages

import "time"

// Info is the payload of the topic info: what runs here.
type Info struct {
	Schema       int      `json:"schema"`
	Version      string   `json:"version"`
	Node         string   `json:"node"`
	Model        string   `json:"model"`
	SHA256       string   `json:"model_sha256,omitempty"`
	Architecture string   `json:"architecture"`
	Classes      int      `json:"classes"`
	Backend      string   `json:"backend"`
	Why          string   `json:"backend_why"`
	Precision    string   `json:"precision"`
	Threads      int      `json:"threads"`
	Scorer       string   `json:"scorer"`
	Machine      Hardware `json:"machine"`
	BootID       string   `json:"boot_id"`
	Started      string   `json:"started_at"`

	Models []ModelInfo `json:"models,omitempty"` // where there are several: each, those above the first
}

// ModelInfo is one of several models.
type ModelInfo struct {
	Model        string `json:"model"`
	SHA256       string `json:"model_sha256,omitempty"`
	Architecture string `json:"architecture"`
	Classes      int    `json:"classes"`
	Backend      string `json:"backend"`
	Precision    string `json:"precision"`
	Threads      int    `json:"threads"`
	Scorer       string `json:"scorer"`
}

// Hardware is what Info says about the box. What could not be found out is left
// out.
type Hardware struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	Board  string `json:"board,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"` // that this process may use
}

// Time writes t as every payload does.
func Time(t time.Time) string { return t.UTC().Format(timeFormat) }
