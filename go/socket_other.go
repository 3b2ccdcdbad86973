//go:build cgo && !unix

package osscallback

// #include "send.h"
import "C"

import (
	"context"
	"time"
)

// answerSocket needs descriptors that the network poller takes, which this system does not have.
type answerSocket struct{}

func socketOf(*C.osscb_call, *C.go_wait) *answerSocket {
	return nil
}

func (*answerSocket) await(context.Context, time.Duration, func() bool) bool {
	return false
}

func (*answerSocket) wake() {}
