package osscallback

// #include "send.h"
import "C"

import (
	"fmt"
	"math"
	"runtime/cgo"
	"sync"
	"time"
)

// Credentials are what [Options.CredentialsProvider] provides.
type Credentials struct {
	// AccessKey id.
	AccessKeyID string

	// AccessKey secret.
	AccessKeySecret Secret

	// STS token of temporary credentials.
	SecurityToken Secret

	// When they end: five minutes before, new ones are asked for. The zero time if they do not, or you do
	// not know; those with a token are then asked for again every 15 minutes.
	ExpiresAt time.Time
}

// credentialsAsked is the user's function and how it last failed, for the errors of the calls that
// needed it: C knows the message only.
type credentialsAsked struct {
	provide func() (Credentials, error)
	mu      sync.Mutex
	failed  error
}

func (a *credentialsAsked) ended(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = err
}

// explain adds the function's own error to that of a call which got no credentials.
func (a *credentialsAsked) explain(e *Error) *Error {
	if e.Kind == KindCredentials {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.failed != nil {
			e.wrapped = append(e.wrapped, a.failed)
		}
	}
	return e
}

//export goProvide
func goProvide(
	context C.uintptr_t, credentials *C.osscb_credentials, failure *C.osscb_failure,
) (ok C.bool) {
	asked := cgo.Handle(context).Value().(*credentialsAsked)
	// It is asked for all calls that wait, on a thread of the library's: there is no caller to whom a panic
	// could go on.
	defer func() {
		if panicked := recover(); panicked != nil {
			err := fmt.Errorf("CredentialsProvider panicked: %v", panicked)
			asked.ended(err)
			C.osscb_failure_set(failure, text(err.Error()))
			ok = false
		}
	}()
	provided, err := asked.provide()
	asked.ended(err)
	if err != nil {
		C.osscb_failure_set(failure, text(err.Error()))
		return false
	}
	expires := C.int64_t(math.MaxInt64)
	if !provided.ExpiresAt.IsZero() {
		expires = C.int64_t(provided.ExpiresAt.Unix())
	}
	C.osscb_credentials_set(credentials, text(provided.AccessKeyID), text(string(provided.AccessKeySecret)),
		text(string(provided.SecurityToken)), expires)
	return true
}

//export goRelease
func goRelease(context C.uintptr_t) {
	handle := cgo.Handle(context)
	if of, ok := handle.Value().(interface{ released() }); ok {
		of.released()
	}
	handle.Delete()
}
