package osscallback

// #include "send.h"
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"sync/atomic"
	"time"
	"unsafe"
)

// Client uploads objects with callbacks. One client serves any number of goroutines at once and keeps
// its connections alive between calls: make one and share it.
type Client struct {
	handle   *handle
	asked    *credentialsAsked
	endpoint string
	region   string
	arrivals *arrivals
	calls    *atomic.Int64
}

// NewClient checks the options and makes a client. Nothing is sent.
//
// What options do not name comes from the environment: OSS_REGION or OSS_ENDPOINT, and the usual sources of
// credentials (see [Options.CredentialsSource]). The error is [ErrInvalidArgument] for an option that is
// malformed, out of range or missing, and [ErrCredentials] if it is certain that there are no credentials;
// sources that must be asked are asked by the first upload.
func NewClient(options Options) (*Client, error) {
	set := options.handOver()
	defer C.osscb_client_options_free(set)
	asked := &credentialsAsked{provide: options.CredentialsProvider}
	if asked.provide != nil {
		C.go_set_credentials(set, C.uintptr_t(cgo.NewHandle(asked)))
	}
	var made *C.osscb_client
	var failure *C.osscb_error
	if status := C.osscb_client_new(set, &made, &failure); status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	client := &Client{
		asked:    asked,
		endpoint: C.GoString(C.osscb_client_endpoint(made)),
		region:   C.GoString(C.osscb_client_region(made)),
		arrivals: &arrivals{},
		calls:    &atomic.Int64{},
	}
	arrivals := client.arrivals
	client.handle = own(unsafe.Pointer(made), func(pointer unsafe.Pointer) {
		C.osscb_client_free((*C.osscb_client)(pointer))
		arrivals.free()
	})
	return client, nil
}

// Endpoint returns where requests go, such as https://oss-cn-hangzhou.aliyuncs.com.
func (c *Client) Endpoint() string {
	return c.endpoint
}

// Region returns the region that requests are signed for, or nothing if none is known.
func (c *Client) Region() string {
	return c.region
}

// Close frees the client and its connections. Calls under way go on to their end; later ones fail with
// [ErrClosed]. Closing again does nothing. The error is always nil: it is there for [io.Closer].
func (c *Client) Close() error {
	if c != nil {
		c.handle.close()
	}
	return nil
}

// PutObjectWithCallback uploads an object, has OSS call the application server, and returns its answer.
//
// data is sent from where it lies, not copied; do not change it before the call returns. opts may be nil.
// Ending ctx ends the call promptly; if it was under way, the object may or may not be stored.
//
// With [ErrCallbackFailed] the object is stored, and the error has its ETag; with [ErrInvalidArgument]
// and [ErrCredentials] nothing was stored. Other failures: [ErrNetwork], [ErrTimeout], [ErrIntegrity],
// [ErrService], [ErrOutcomeUnknown], [ErrCancelled].
func (c *Client) PutObjectWithCallback(
	ctx context.Context, bucket, key string, data []byte, callback *Callback, opts *PutOptions,
) (*CallbackReply, error) {
	switch {
	case c == nil:
		return nil, isNil("client")
	case callback == nil:
		return nil, isNil("callback")
	case ctx == nil:
		return nil, isNil("ctx")
	}
	client, err := c.handle.acquire("client")
	if err != nil {
		return nil, err
	}
	defer c.handle.release()
	asked, err := callback.handle.acquire("callback")
	if err != nil {
		return nil, err
	}
	defer callback.handle.release()
	var set *C.osscb_put_options
	if opts != nil {
		set = opts.handOver()
		defer C.osscb_put_options_free(set)
	}
	put := &putCall{
		client: (*C.osscb_client)(client), bucket: bucket, key: key, data: data,
		callback: (*C.osscb_callback)(asked), options: set,
	}
	cancel, done := watch(ctx, put.wake)
	defer done()
	put.cancel = cancel
	defer c.calls.Add(-1)
	calls := c.calls.Add(1)
	if calls == 1 {
		put.wait()
	} else if calls <= mostStepped || !c.arrivals.await(put) {
		put.step(ctx)
	}
	if put.status != C.OSSCB_STATUS_OK {
		return nil, c.asked.explain(takeError(put.status, put.failure).endedBy(ctx))
	}
	defer C.osscb_reply_free(put.reply)
	return readReply(put.reply), nil
}

// A call alone waits in C, where it takes the least work. Where there are several, they wait in Go, as a
// call in C keeps one of Go's processors until somebody comes and takes it away. Each of them has a connection of
// its own, and some descriptors: beyond some dozens the library's threads drive them.
const mostStepped = 64

// putCall is what a call of C is lent, and what it comes to.
type putCall struct {
	client      *C.osscb_client
	bucket, key string
	data        []byte
	callback    *C.osscb_callback
	options     *C.osscb_put_options
	cancel      *C.osscb_cancel

	status  C.osscb_status
	reply   *C.osscb_reply
	failure *C.osscb_error

	// Where it waits for the answer, while it does.
	waiting atomic.Pointer[answerSocket]
}

// lend keeps the data where it is, for C to read until the call has ended.
func (p *putCall) lend(lent *runtime.Pinner) {
	if len(p.data) > 0 {
		lent.Pin(&p.data[0])
	}
}

// wait makes the call, and waits in C.
func (p *putCall) wait() {
	p.status = C.go_put(p.client, text(p.bucket), text(p.key), firstByte(p.data), C.size_t(len(p.data)), p.callback,
		p.options, p.cancel, &p.reply, &p.failure)
}

// step makes the call: it sends in C, and waits for the answer in Go's network poller.
func (p *putCall) step(ctx context.Context) {
	var lent runtime.Pinner
	defer lent.Unpin()
	p.lend(&lent)
	var call *C.osscb_call
	var wait C.go_wait
	p.status = C.go_begin_put(p.client, text(p.bucket), text(p.key), firstByte(p.data), C.size_t(len(p.data)),
		p.callback, p.options, p.cancel, &call, &wait, &p.reply, &p.failure)
	for call != nil {
		socket := socketOf(call, &wait)
		p.waiting.Store(socket)
		waited := socket.await(ctx, time.Duration(wait.timeout_ms)*time.Millisecond, func() bool {
			p.status = C.go_advance(&call, &wait, &p.reply, &p.failure)
			return call == nil
		})
		p.waiting.Store(nil)
		if !waited {
			p.status = C.go_finish(&call, &p.reply, &p.failure)
		}
	}
}

// wake has the call look whether it was cancelled.
func (p *putCall) wake() {
	if socket := p.waiting.Load(); socket != nil {
		socket.wake()
	}
}

// watch makes a handle that is cancelled when ctx ends. done must be called once the call is over: it
// waits for a cancellation that is just being made, and frees the handle. No goroutine stays behind. wake is
// called once the handle is cancelled.
func watch(ctx context.Context, wake func()) (cancel *C.osscb_cancel, done func()) {
	if ctx.Done() == nil {
		return nil, func() {}
	}
	cancel = C.osscb_cancel_new()
	if ctx.Err() != nil {
		// Here and not in another goroutine, so that nothing is sent.
		C.osscb_cancel_now(cancel)
		return cancel, func() { C.osscb_cancel_free(cancel) }
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.osscb_cancel_now(cancel)
		wake()
		close(told)
	})
	return cancel, func() {
		if !stop() {
			<-told
		}
		C.osscb_cancel_free(cancel)
	}
}
