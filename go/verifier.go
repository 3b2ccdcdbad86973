package osscallback

// #include "receive.h"
import "C"

import (
	"context"
	"math"
	"runtime/cgo"
	"time"
	"unsafe"
)

// CallbackVerifier tells whether callback requests are from OSS, and what they say. Any number of
// goroutines may use one.
//
// The default needs no settings and, for OSS's present key, no network. A signature proves less than it
// seems to: any customer of OSS can have OSS sign a body of his choice. Act on a callback that matters
// only with a seal ([CallbackOptions.Seal] and [VerifierOptions.SealSecret]), and on its size or ETag only
// after [Client.Confirm].
type CallbackVerifier struct {
	handle  *handle
	maxBody int64
	// For the body to arrive.
	bodyTimeout time.Duration
	// Whether there are functions that C may ask.
	asks bool
}

// NewCallbackVerifier checks the options and makes a verifier. Nothing is sent.
//
// The error is [ErrInvalidArgument] for a key that is not an RSA public key, a template that cannot be
// read backwards, a secret under 16 bytes, FirstUse without a secret, or if no key is trusted at all.
func NewCallbackVerifier(options VerifierOptions) (*CallbackVerifier, error) {
	set := options.handOver()
	defer C.osscb_verifier_options_free(set)
	if options.Callback != nil {
		callback, err := options.Callback.handle.acquire("callback")
		if err != nil {
			return nil, err
		}
		C.osscb_verifier_options_set_callback(set, (*C.osscb_callback)(callback))
		options.Callback.handle.release()
	}
	if options.FetchKey != nil {
		C.go_set_fetch_key(set, C.uintptr_t(cgo.NewHandle(options.FetchKey)))
	}
	if options.FirstUse != nil {
		C.go_set_first_use(set, C.uintptr_t(cgo.NewHandle(firstUse(options.FirstUse))))
	}
	var made *C.osscb_verifier
	var failure *C.osscb_error
	if status := C.osscb_verifier_new(set, &made, &failure); status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	verifier := &CallbackVerifier{
		// One byte more is read, to see whether it is too much.
		maxBody:     int64(min(uint64(C.osscb_verifier_max_body(made)), math.MaxInt64-1)),
		bodyTimeout: time.Duration(C.osscb_verifier_body_timeout_ms(made)) * time.Millisecond,
		asks:        options.FetchKey != nil || options.FirstUse != nil,
	}
	verifier.handle = own(unsafe.Pointer(made), func(pointer unsafe.Pointer) {
		C.osscb_verifier_free((*C.osscb_verifier)(pointer))
	})
	return verifier, nil
}

// Verify verifies a callback request and tells what it says. It may wait for a key to be fetched.
//
// target is the raw request target with its query, such as /cb?id=1: [http.Request.RequestURI]. headers
// are all that arrived, as in [http.Request.Header]; body is the raw bytes. See
// [CallbackVerifier.VerifyRequest] and [CallbackVerifier.Handler], which take all this from a request.
//
// The error is [ErrVerification]; Reason says which check failed, and Hint, where it can be told, the
// accident that explains it. Both are for your log: to the sender, answer [Refusal]. An error of
// [VerifierOptions.FirstUse] is returned as it is.
func (v *CallbackVerifier) Verify(
	method, target string, headers map[string][]string, body []byte,
) (*CallbackEvent, error) {
	return v.VerifyAt(method, target, headers, body, time.Time{})
}

// VerifyAt is [CallbackVerifier.Verify] at a given time, which only a seal's expiry depends on. The zero
// time is now.
func (v *CallbackVerifier) VerifyAt(
	method, target string, headers map[string][]string, body []byte, at time.Time,
) (*CallbackEvent, error) {
	return v.verifyIn(context.Background(), method, target, headers, body, at)
}

func (v *CallbackVerifier) verifyIn(
	ctx context.Context, method, target string, headers map[string][]string, body []byte, at time.Time,
) (*CallbackEvent, error) {
	var event *C.osscb_event
	if err := v.verify(ctx, method, target, headers, body, at, &event); err != nil {
		return nil, err
	}
	return takeEvent(event), nil
}

// VerifySignature verifies the signature only, not the body or the seal: for bodies that are neither form
// nor JSON. Arguments and errors are those of [CallbackVerifier.Verify].
func (v *CallbackVerifier) VerifySignature(
	method, target string, headers map[string][]string, body []byte,
) error {
	return v.verify(context.Background(), method, target, headers, body, time.Time{}, nil)
}

// verify asks for the signature only where event is nil.
func (v *CallbackVerifier) verify(
	ctx context.Context, method, target string, headers map[string][]string, body []byte, at time.Time,
	event **C.osscb_event,
) error {
	if v == nil {
		return isNil("verifier")
	}
	pointer, err := v.handle.acquire("verifier")
	if err != nil {
		return err
	}
	defer v.handle.release()
	var packed texts
	packed.add(method)
	packed.add(target)
	count := C.size_t(0)
	for name, values := range headers {
		for _, value := range values {
			packed.add(name)
			packed.add(value)
			count++
		}
	}
	within := &verification{ctx: ctx}
	number := C.uintptr_t(0)
	if v.asks {
		lent, done := within.lend()
		defer done()
		number = lent
	}
	var failure *C.osscb_error
	var e *Error
	status := C.go_verify((*C.osscb_verifier)(pointer), number, packed.start(), packed.lengths(), count,
		firstByte(body), C.size_t(len(body)), unixSeconds(at), event, &failure)
	if status != C.OSSCB_STATUS_OK {
		e = takeError(status, failure)
	}
	return within.outcome(e)
}

// Close frees the verifier; using it later fails with [ErrClosed]. Events stay. Closing again does
// nothing. The error is always nil: it is there for [io.Closer].
func (v *CallbackVerifier) Close() error {
	if v != nil {
		v.handle.close()
	}
	return nil
}
