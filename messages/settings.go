package messages

// Settings is the payload of the topic settings: what commands can change.
type Settings struct {
	Schema     int                       `json:"schema"`
	Auto       bool                      `json:"auto"` // keep follows the budget
	Keep       float64                   `json:"keep"` // the ratio in force
	BudgetMS   float64                   `json:"budget_ms"`
	Percentile float64                   `json:"percentile"`
	Cameras    map[string]CameraSettings `json:"cameras"`
}

// CameraSettings are of one camera.
type CameraSettings struct {
	Enabled bool     `json:"enabled"`
	Models  []string `json:"models,omitempty"` // where several look at it: by what names their topics go
	Keep    float64  `json:"keep,omitempty"`   // where cameras have ratios of their own
	Taught  string   `json:"taught,omitempty"` // head that the page has put in place of what the configuration says
}
