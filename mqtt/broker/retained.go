package broker

import "sync"

// retained counts what clients other than the owner have the broker retain, by
// topic, and bounds it.
type retained struct {
	mu    sync.Mutex
	sizes map[string]int // topic and payload in bytes
	bytes int
}

// keep accounts for a retained message before it is stored, an empty one for the
// end of that. It reports whether there is room.
func (r *retained) keep(topic string, payload int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.sizes[topic]
	if payload == 0 {
		r.forget(topic)
		return true
	}
	size := len(topic) + payload
	if r.bytes-old+size > maxRetainedBytes || !known && len(r.sizes) == maxRetained {
		return false
	}
	r.sizes[topic] = size
	r.bytes += size - old
	return true
}

// drop ends the account of a topic.
func (r *retained) drop(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(topic)
}

// forget needs r.mu.
func (r *retained) forget(topic string) {
	r.bytes -= r.sizes[topic]
	delete(r.sizes, topic)
}
