package osscallback

// #include "receive.h"
import "C"

import (
	"context"
	"fmt"
	"runtime/cgo"
	"time"
)

// What C calls. A panic must not cross C: it goes on where the verification was called.

// verification is one under way, and what the functions that C asks in it came to.
type verification struct {
	ctx        context.Context
	fetchError error
	useError   error
	panicked   any
}

// lend gives C a number for it until done is called.
func (v *verification) lend() (number C.uintptr_t, done func()) {
	handle := cgo.NewHandle(v)
	return C.uintptr_t(handle), handle.Delete
}

// outcome adds what C has no words for: it knows only the message of FetchKey's error, and nothing of
// FirstUse's.
func (v *verification) outcome(e *Error) error {
	switch {
	case v.panicked != nil:
		panic(v.panicked)
	case v.useError != nil:
		return v.useError
	case e == nil:
		return nil
	case v.fetchError != nil && e.Reason == ReasonKeyUnavailable:
		e.wrapped = append(e.wrapped, v.fetchError)
	}
	return e
}

//export goFetchKey
func goFetchKey(
	context, within C.uintptr_t, url *C.char, key *C.osscb_key, failure *C.osscb_failure,
) (ok C.bool) {
	asking := cgo.Handle(within).Value().(*verification)
	defer func() {
		if panicked := recover(); panicked != nil {
			asking.panicked, ok = panicked, false
			// For others who wait for the same key.
			C.osscb_failure_set(failure, text(fmt.Sprintf("FetchKey panicked: %v", panicked)))
		}
	}()
	pem, err := cgo.Handle(context).Value().(func(string) ([]byte, error))(C.GoString(url))
	if err != nil {
		asking.fetchError = err
		C.osscb_failure_set(failure, text(err.Error()))
		return false
	}
	C.go_set_key(key, firstByte(pem), C.size_t(len(pem)))
	return true
}

//export goFirstUse
func goFirstUse(context, within C.uintptr_t, nonce *C.char, expiresAt C.int64_t) (ok C.bool) {
	asking := cgo.Handle(within).Value().(*verification)
	defer func() {
		if panicked := recover(); panicked != nil {
			asking.panicked, ok = panicked, false
		}
	}()
	ask := cgo.Handle(context).Value().(firstUse)
	first, err := ask(asking.ctx, C.GoString(nonce), time.Unix(int64(expiresAt), 0))
	asking.useError = err
	// Whoever cannot say that it is the first time must not let it pass.
	return C.bool(first && err == nil)
}

type firstUse = func(ctx context.Context, nonce string, expiresAt time.Time) (bool, error)
