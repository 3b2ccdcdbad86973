package osscallback

// #include "receive.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"time"
)

// What C calls. A panic must not cross C, so it becomes what the function would say of a failure.

//export goFetchKey
func goFetchKey(
	context C.uintptr_t, url *C.char, key *C.osscb_key, failure *C.osscb_failure,
) C.bool {
	pem, err := fetched(cgo.Handle(context).Value().(func(string) ([]byte, error)), C.GoString(url))
	if err != nil {
		C.osscb_failure_set(failure, text(err.Error()))
		return false
	}
	C.go_set_key(key, firstByte(pem), C.size_t(len(pem)))
	return true
}

func fetched(fetch func(string) ([]byte, error), url string) (pem []byte, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("it panicked: %v", panicked)
		}
	}()
	return fetch(url)
}

//export goFirstUse
func goFirstUse(context C.uintptr_t, nonce *C.char, expiresAt C.int64_t) (first C.bool) {
	// Whoever cannot say that it is the first time must not let it pass.
	defer func() { _ = recover() }()
	ask := cgo.Handle(context).Value().(func(string, time.Time) bool)
	return C.bool(ask(C.GoString(nonce), time.Unix(int64(expiresAt), 0)))
}
