package osscallback

// #include "send.h"
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A call of C that waits keeps its thread, and for a while its share of the processors: with more calls
// under way than Go has processors, the others stand still until the scheduler notices. So only a call
// that has the package to itself waits in C, which is the quickest way there is; others are started, and
// one goroutine waits in C for the ends of them all.

// underWay counts the calls that may wait in C or in the dispatcher.
var underWay atomic.Int32

// Milliseconds for which the waiting goroutine looks for ends while there are calls, and after the last.
const (
	busyWait = 1000
	idleWait = 5
)

// dispatcher hands the ends of calls to those who started them.
type dispatcher struct {
	mu      sync.Mutex
	queue   *C.osscb_completions
	waiting map[uint64]chan C.osscb_completion
	tag     uint64
}

var dispatch = dispatcher{waiting: map[uint64]chan C.osscb_completion{}}

var endings = sync.Pool{New: func() any { return make(chan C.osscb_completion, 1) }}

// run starts a call, and waits for its end without a thread.
func (d *dispatcher) run(start func(*C.osscb_completions, C.uint64_t) C.osscb_status) C.osscb_completion {
	ending := endings.Get().(chan C.osscb_completion)
	d.mu.Lock()
	if d.queue == nil {
		d.queue = C.osscb_completions_new()
		go d.wait(d.queue)
	}
	queue := d.queue
	d.tag++
	tag := d.tag
	d.waiting[tag] = ending
	d.mu.Unlock()
	if status := start(queue, C.uint64_t(tag)); status != C.OSSCB_STATUS_OK {
		d.forget(tag)
		return C.osscb_completion{status: status}
	}
	end := <-ending
	endings.Put(ending)
	return end
}

func (d *dispatcher) forget(tag uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, tag)
}

// wait is the goroutine that fetches ends; it goes when there was nothing to wait for for a while.
func (d *dispatcher) wait(queue *C.osscb_completions) {
	ends := make([]C.osscb_completion, 64)
	for patience := C.uint64_t(busyWait); ; {
		var count C.size_t
		status := C.osscb_completions_wait(queue, &ends[0], C.size_t(len(ends)), patience, &count, nil)
		d.mu.Lock()
		if status != C.OSSCB_STATUS_OK || (count == 0 && len(d.waiting) == 0) {
			d.queue = nil
			d.mu.Unlock()
			C.osscb_completions_free(queue)
			return
		}
		for _, end := range ends[:count] {
			tag := uint64(end.tag)
			if ending := d.waiting[tag]; ending != nil {
				delete(d.waiting, tag)
				ending <- end
			}
		}
		if patience = busyWait; len(d.waiting) == 0 {
			patience = idleWait
		}
		d.mu.Unlock()
	}
}

// put is osscb_put_object_with_callback, by whichever way is quicker now.
func put(
	client *C.osscb_client, bucket, key string, data []byte, callback *C.osscb_callback,
	options *C.osscb_put_options, cancel *C.osscb_cancel,
) (status C.osscb_status, reply *C.osscb_reply, failure *C.osscb_error) {
	alone := underWay.Add(1) == 1
	defer underWay.Add(-1)
	// A byte pointer, not void *: it says that there are no Go pointers behind it, wherever data lies.
	first := (*C.uint8_t)(unsafe.SliceData(data))
	if alone {
		status = C.go_put(client, text(bucket), text(key), first, C.size_t(len(data)), callback, options,
			cancel, &reply, &failure)
		return status, reply, failure
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	if first != nil {
		pins.Pin(first)
	}
	end := dispatch.run(func(queue *C.osscb_completions, tag C.uint64_t) C.osscb_status {
		return C.go_start_put(client, text(bucket), text(key), first, C.size_t(len(data)), callback, options,
			cancel, queue, tag, &failure)
	})
	if failure != nil {
		return end.status, nil, failure
	}
	return end.status, end.reply, end.error
}
