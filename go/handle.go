//go:build cgo

package osscallback

import (
	"runtime"
	"sync"
	"unsafe"
)

// handle owns what C made. It is freed when it is closed and the last user has let go, so that Close is
// safe while calls run and never waits for them; or when the garbage collector finds it forgotten.
type handle struct {
	mu      sync.Mutex
	pointer unsafe.Pointer
	users   int
	closed  bool
	free    func(unsafe.Pointer)
}

func own(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, free: free}
	runtime.SetFinalizer(h, (*handle).close)
	return h
}

// acquire lends the pointer until release. field names the argument in the error.
func (h *handle) acquire(field string) (unsafe.Pointer, error) {
	if h == nil {
		return nil, wrongArgument(field, "is the zero value: make it by its New function")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		e := wrongArgument(field, "is closed")
		e.wrapped = []error{ErrClosed}
		return nil, e
	}
	h.users++
	return h.pointer, nil
}

func (h *handle) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users--
	h.freeIfDone()
}

func (h *handle) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.freeIfDone()
}

func (h *handle) freeIfDone() {
	if h.closed && h.users == 0 && h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
		runtime.SetFinalizer(h, nil)
	}
}
