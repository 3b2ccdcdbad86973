package osscallback

// #include "receive.h"
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Confirmation is what OSS says of an object whose callback it has confirmed.
type Confirmation struct {
	// ETag, without quotes.
	ETag string

	// Size in bytes; nil if OSS did not say.
	Size *uint64

	// CRC-64; nil if OSS did not say.
	CRC64 *uint64

	// Content-Type; empty if OSS did not say.
	ContentType string

	// When it was stored; the zero time if OSS did not say.
	LastModified time.Time

	// Version; empty unless the bucket is versioned.
	VersionID string

	// OSS's id of the question.
	RequestID string
}

// Confirm asks OSS, with this client's credentials, whether the object of a callback is there with the
// ETag, size and CRC-64 that the callback tells: those that its body names, at least one.
//
// It proves what is stored now, not who stored it: the bucket is the one that the callback claims, so hold
// it against your own by [VerifierOptions.Bucket] or a seal. The credentials need the right to read the
// object (oss:GetObject).
//
// The error is [ErrVerification] with [ReasonObjectMissing] or [ReasonObjectDiffers],
// [ErrInvalidArgument] for an event that names no bucket or key, or nothing to compare, else as for
// [Client.PutObjectWithCallback].
func (c *Client) Confirm(ctx context.Context, event *CallbackEvent) (*Confirmation, error) {
	switch {
	case c == nil:
		return nil, isNil("client")
	case event == nil:
		return nil, isNil("event")
	case ctx == nil:
		return nil, isNil("ctx")
	}
	client, err := c.handle.acquire("client")
	if err != nil {
		return nil, err
	}
	defer c.handle.release()
	told, err := event.handle.acquire("event")
	if err != nil {
		return nil, err
	}
	defer event.handle.release()
	cancel, done := watch(ctx, func() {})
	defer done()
	var said *C.osscb_confirmation
	var failure *C.osscb_error
	status := C.osscb_client_confirm(
		(*C.osscb_client)(client), (*C.osscb_event)(told), cancel, &said, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, c.asked.explain(takeError(status, failure).endedBy(ctx))
	}
	defer C.osscb_confirmation_free(said)
	confirmation := &Confirmation{
		ETag:        C.GoString(C.osscb_confirmation_etag(said)),
		ContentType: C.GoString(C.osscb_confirmation_content_type(said)),
		VersionID:   C.GoString(C.osscb_confirmation_version_id(said)),
		RequestID:   C.GoString(C.osscb_confirmation_request_id(said)),
	}
	var size, crc64 C.uint64_t
	var modified C.int64_t
	if C.osscb_confirmation_size(said, &size) {
		confirmation.Size = Ptr(uint64(size))
	}
	if C.osscb_confirmation_crc64(said, &crc64) {
		confirmation.CRC64 = Ptr(uint64(crc64))
	}
	if C.osscb_confirmation_last_modified(said, &modified) {
		confirmation.LastModified = time.Unix(int64(modified), 0)
	}
	return confirmation, nil
}

// Answer is an HTTP answer to a callback request: send status, headers and body as they are.
type Answer struct {
	// HTTP status: 200; 403 for a refusal, 500 where a handler failed.
	Status int

	// Content-Type and Content-Length, which OSS demands.
	Headers map[string]string

	// The body; OSS hands it back to the uploader.
	Body []byte
}

// NewAnswer makes the answer that lets the upload succeed; the uploader gets the JSON as it is.
//
// The error is [ErrInvalidArgument] for what OSS refuses: nothing at all, a byte order mark, invalid JSON,
// or more than 1 MB; it has the EC.
func NewAnswer(json []byte) (*Answer, error) {
	var answer *C.osscb_answer
	var failure *C.osscb_error
	status := C.go_new_answer(firstByte(json), C.size_t(len(json)), &answer, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	return takeAnswer(answer), nil
}

// Refusal is the answer to a request that did not verify: status 403, the same for every reason, so that
// a forger learns nothing from it.
func Refusal() *Answer {
	return takeAnswer(C.osscb_answer_new_refusal())
}

// Failure is the answer to a callback that did verify, but could not be acted on: status 500. The object
// stays stored, and the uploader gets [ErrCallbackFailed].
func Failure() *Answer {
	return takeAnswer(C.osscb_answer_new_failure())
}

// takeAnswer copies C's answer, and frees that.
func takeAnswer(answer *C.osscb_answer) *Answer {
	defer C.osscb_answer_free(answer)
	body := C.osscb_answer_body(answer)
	return &Answer{
		Status:  int(C.osscb_answer_status(answer)),
		Headers: pairMap(C.osscb_answer_headers(answer)),
		Body:    C.GoBytes(unsafe.Pointer(body.ptr), C.int(body.len)),
	}
}
