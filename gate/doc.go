// Package gate is what a camera's frames and their labels pass: [Pace] lets no
// more frames through than wanted, [Motion] spares the model those that hardly
// differ from the last one looked at, [Debounce] decides what a sequence of labels
// means. Each is of one camera and used by one goroutine.
package gate
