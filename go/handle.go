package osscallback

import (
	"sync"
	"unsafe"
)

// handle owns what C made. It is freed when it is closed and the last user has let go, so that Close is
// safe while calls run and never waits for them.
type handle struct {
	mu      sync.Mutex
	pointer unsafe.Pointer
	users   int
	closed  bool
	free    func(unsafe.Pointer)
}

// acquire lends the pointer until release. field names the argument in the error.
func (h *handle) acquire(field string) (unsafe.Pointer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.pointer == nil {
		state := "closed"
		if !h.closed {
			state = "the zero value: make it by its New function"
		}
		e := wrongArgument(field, "is "+state)
		e.wrapped = []error{ErrClosed}
		return nil, e
	}
	h.users++
	return h.pointer, nil
}

func (h *handle) release() {
	h.mu.Lock()
	h.users--
	h.freeIfDone()
	h.mu.Unlock()
}

func (h *handle) close() {
	h.mu.Lock()
	h.closed = true
	h.freeIfDone()
	h.mu.Unlock()
}

func (h *handle) freeIfDone() {
	if h.closed && h.users == 0 && h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
	}
}
