//go:build cgo && unix

package osscallback

// #include "bridge.h"
import "C"

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// How many ends are fetched at once.
const arrivalsAtOnce = 64

// arrivals is where calls that were started end. However many there are, one goroutine fetches their
// ends, when the network poller says that there are some; it lives while calls are under way.
type arrivals struct {
	mu      sync.Mutex
	queue   *C.osscb_completions
	file    *os.File
	conn    syscall.RawConn
	waiting map[uint64]chan C.osscb_completion
	next    uint64
	serving bool
	// The system has none of the things that it takes.
	failed bool
}

// await starts a call and waits for its end. It reports false, and has done nothing, where it cannot.
func (a *arrivals) await(p *putCall) bool {
	ended := make(chan C.osscb_completion, 1)
	a.mu.Lock()
	if !a.open() {
		a.mu.Unlock()
		return false
	}
	tag := a.next
	a.next++
	a.waiting[tag] = ended
	a.mu.Unlock()

	var lent runtime.Pinner
	defer lent.Unpin()
	p.lend(&lent)
	p.status = C.go_start_put(p.client, text(p.bucket), text(p.key), firstByte(p.data), C.size_t(len(p.data)),
		p.callback, p.options, p.cancel, a.queue, C.uint64_t(tag), &p.failure)

	a.mu.Lock()
	if p.status != C.OSSCB_STATUS_OK {
		delete(a.waiting, tag)
		if a.serving && len(a.waiting) == 0 {
			// Nothing will come for which it waits.
			a.file.SetReadDeadline(time.Unix(1, 0))
		}
		a.mu.Unlock()
		return true
	}
	if !a.serving {
		a.serving = true
		a.file.SetReadDeadline(time.Time{})
		go a.serve()
	}
	a.mu.Unlock()
	end := <-ended
	p.status, p.reply, p.failure = end.status, end.reply, end.error
	return true
}

// open makes what is needed, once.
func (a *arrivals) open() bool {
	if a.queue != nil || a.failed {
		return !a.failed
	}
	a.failed = true
	queue := C.osscb_completions_new()
	var theirs C.int32_t
	if C.osscb_completions_descriptor(queue, &theirs, nil) == C.OSSCB_STATUS_OK {
		if file, conn, err := polled(int(theirs)); err == nil {
			a.queue, a.file, a.conn = queue, file, conn
			a.waiting, a.failed = make(map[uint64]chan C.osscb_completion), false
			return true
		}
	}
	C.osscb_completions_free(queue)
	return false
}

// serve hands on the ends until there is nobody left who waits.
func (a *arrivals) serve() {
	var ends [arrivalsAtOnce]C.osscb_completion
	var waiters [arrivalsAtOnce]chan C.osscb_completion
	for {
		var count C.size_t
		err := a.conn.Read(func(uintptr) bool {
			status := C.osscb_completions_wait(a.queue, &ends[0], arrivalsAtOnce, 0, &count, nil)
			return count > 0 || status != C.OSSCB_STATUS_OK
		})
		a.mu.Lock()
		if err != nil && count == 0 && len(a.waiting) > 0 {
			// Told to end, and a call has begun since; or the poller fails, which it did not at first.
			a.file.SetReadDeadline(time.Time{})
			a.mu.Unlock()
			time.Sleep(time.Millisecond)
			continue
		}
		for i := range ends[:count] {
			tag := uint64(ends[i].tag)
			waiters[i] = a.waiting[tag]
			delete(a.waiting, tag)
		}
		last := len(a.waiting) == 0
		a.serving = !last
		a.mu.Unlock()
		for i := range ends[:count] {
			waiters[i] <- ends[i]
		}
		if last {
			return
		}
		// Whoever was told may start the next call first, and others may end meanwhile: fetched together,
		// they cost less.
		runtime.Gosched()
	}
}

// free lets go of everything, once no call is under way.
func (a *arrivals) free() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue != nil {
		a.file.Close()
		C.osscb_completions_free(a.queue)
		a.queue, a.failed = nil, true
	}
}
