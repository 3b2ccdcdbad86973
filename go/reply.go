package osscallback

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unsafe"
)

// CallbackReply is the application server's answer to the callback, and what OSS said of the stored
// object.
type CallbackReply struct {
	// What the application server answered, byte for byte. It may hold anything.
	Body []byte

	// Media type of the body; empty if the application server named none.
	ContentType string

	// ETag of the object, without quotes.
	ETag string

	// Version of the object; empty unless the bucket is versioned.
	VersionID string

	// OSS's id of the request: quote it to Alibaba Cloud's support.
	RequestID string

	// CRC-64 of the object, which was compared with that of the data sent; nil if OSS did not say.
	CRC64 *uint64

	// How long OSS worked on the request, callback included; 0 if OSS did not say.
	ServerTime time.Duration
}

// Text returns the body as UTF-8, with U+FFFD for what is none.
func (r *CallbackReply) Text() string {
	return strings.ToValidUTF8(string(r.Body), "\ufffd")
}

// JSON stores what the body says in the value that into points to, as [json.Unmarshal] does. If it
// fails, the upload and the callback succeeded all the same. The error is [ErrInvalidArgument].
func (r *CallbackReply) JSON(into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return &Error{
			Kind:    KindInvalidArgument,
			Message: fmt.Sprintf("the callback body: %v (the upload itself succeeded)", err),
			Stored:  true,
			wrapped: []error{err},
		}
	}
	return nil
}

// readReply copies out of C's reply; the caller frees that.
func readReply(reply *C.osscb_reply) *CallbackReply {
	all := C.go_reply_of(reply)
	out := &CallbackReply{
		Body:        make([]byte, int(all.body.len)),
		ContentType: C.GoString(all.content_type),
		ETag:        C.GoString(all.etag),
		VersionID:   C.GoString(all.version_id),
		RequestID:   C.GoString(all.request_id),
		ServerTime:  time.Duration(all.server_time_ms) * time.Millisecond,
	}
	copy(out.Body, unsafe.Slice((*byte)(all.body.ptr), int(all.body.len)))
	if all.has_crc64 {
		out.CRC64 = Ptr(uint64(all.crc64))
	}
	return out
}
