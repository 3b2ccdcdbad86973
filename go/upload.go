package osscallback

// #include "send.h"
import "C"

import (
	"context"
	"math"
	"runtime/cgo"
)

// Progress says how far an upload is.
type Progress struct {
	// Bytes handed to the network, and bytes that were there from an earlier run. Never goes back.
	BytesDone int64

	// Bytes of the whole; -1 for a stream of unknown length.
	BytesTotal int64

	// Parts that OSS has acknowledged; 0 for an upload in one request.
	PartsDone int

	// Parts of the whole; -1 if not known, and for an upload in one request.
	PartsTotal int
}

// PutSourceWithCallback is [Client.PutObjectWithCallback] from a [Source], which is read while it is sent,
// in one request of at most 5 GiB.
//
// What fails is tried again where that is safe; not so after the first byte of a reader was read, which
// cannot be had twice. If the source cannot be read, the error is [ErrSource], and nothing is stored.
func (c *Client) PutSourceWithCallback(
	ctx context.Context, bucket, key string, source Source, callback *Callback, opts *PutOptions,
) (*CallbackReply, error) {
	var set *C.osscb_put_options
	if opts != nil {
		set = opts.handOver()
		defer C.osscb_put_options_free(set)
	}
	return c.send(ctx, source, callback, func(l *lentCall) (status C.osscb_status) {
		return C.osscb_put_source_with_callback(l.client, text(bucket), text(key), l.source, l.callback, set,
			l.cancel, &l.reply, &l.failure)
	})
}

// UploadFileWithCallback uploads a source of any size: in one request below [UploadOptions.Threshold], in
// parts above it. OSS calls the application server once, when the object is whole, and its answer is
// returned. opts may be nil.
//
// Ending ctx ends the upload. An upload in parts that ends with an error is aborted, so that OSS keeps no
// parts, unless it has a [UploadOptions.Checkpoint]: then the same call goes on where this one ended.
// Errors are as for [Client.PutSourceWithCallback].
func (c *Client) UploadFileWithCallback(
	ctx context.Context, bucket, key string, source Source, callback *Callback, opts *UploadOptions,
) (*CallbackReply, error) {
	var set *C.osscb_upload_options
	told := &watching{}
	var context cgo.Handle
	if opts != nil {
		set = opts.handOver()
		defer C.osscb_upload_options_free(set)
		if told.tell = opts.Progress; told.tell != nil {
			context = cgo.NewHandle(told)
			defer context.Delete()
		}
	}
	reply, err := c.send(ctx, source, callback, func(l *lentCall) (status C.osscb_status) {
		return C.go_upload(l.client, text(bucket), text(key), l.source, l.callback, set, l.cancel,
			C.uintptr_t(context), &l.reply, &l.failure)
	})
	return told.explain(reply, err)
}

// lentCall is what a call of C is lent, and where it puts what it came to.
type lentCall struct {
	client   *C.osscb_client
	source   *C.osscb_source
	callback *C.osscb_callback
	cancel   *C.osscb_cancel
	reply    *C.osscb_reply
	failure  *C.osscb_error
}

func (c *Client) send(
	ctx context.Context, from Source, callback *Callback, call func(*lentCall) C.osscb_status,
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
	source, read, free, err := from.open()
	if err != nil {
		return nil, err
	}
	defer free()
	cancel, done := watch(ctx, func() {})
	defer done()
	lent := &lentCall{
		client: (*C.osscb_client)(client), source: source, callback: (*C.osscb_callback)(asked), cancel: cancel,
	}
	if status := call(lent); status != C.OSSCB_STATUS_OK {
		return nil, read.explain(c.asked.explain(takeError(status, lent.failure).endedBy(ctx)))
	}
	defer C.osscb_reply_free(lent.reply)
	return readReply(lent.reply), nil
}

// watching is a progress function that C calls, and how it failed.
type watching struct {
	tell     func(Progress) error
	failed   error
	panicked any
}

//export goProgress
func goProgress(context C.uintptr_t, progress *C.osscb_progress) C.bool {
	told := cgo.Handle(context).Value().(*watching)
	return C.bool(told.pass(Progress{
		BytesDone:  int64(progress.bytes_done),
		BytesTotal: knownOr(progress.bytes_total),
		PartsDone:  int(progress.parts_done),
		PartsTotal: int(knownOr(progress.parts_total)),
	}))
}

func knownOr(total C.uint64_t) int64 {
	if total == math.MaxUint64 {
		return -1
	}
	return int64(total)
}

func (w *watching) pass(progress Progress) (goOn bool) {
	defer func() {
		if panicked := recover(); panicked != nil {
			w.panicked, goOn = panicked, false
		}
	}()
	if w.failed != nil || w.panicked != nil {
		return false
	}
	w.failed = w.tell(progress)
	return w.failed == nil
}

// explain adds the function's own error to that of the upload; a panic goes on where the upload was
// called.
func (w *watching) explain(reply *CallbackReply, err error) (*CallbackReply, error) {
	if w.panicked != nil {
		panic(w.panicked)
	}
	if e, ok := err.(*Error); ok && w.failed != nil {
		e.wrapped = append(e.wrapped, w.failed)
	}
	return reply, err
}
