package osscallback

// #include <oss_callback.h>
import "C"

import (
	"context"
	"errors"
	"syscall"
)

// ErrClosed is what using a [Client], [Callback], [CallbackVerifier] or [Signer] after Close comes to. It
// stands behind an [*Error] of [KindInvalidArgument].
var ErrClosed = errors.New("osscallback: used after Close")

// Error returns the message.
func (e *Error) Error() string {
	return "osscallback: " + e.Message
}

// Is reports whether target is the sentinel of the error's kind, such as [ErrTimeout].
func (e *Error) Is(target error) bool {
	sentinel, ok := target.(*kindError)
	return ok && sentinel.kind == e.Kind
}

// Unwrap returns what lies behind the error on Go's side, such as [context.Canceled], and what the system
// refused, such as [io/fs.ErrNotExist].
func (e *Error) Unwrap() []error {
	return e.wrapped
}

// Retryable reports whether the same call may well succeed when it is made again, without making a
// second callback.
func (e *Error) Retryable() bool {
	return e.retryable
}

// Timeout reports whether time ran out, by an option or by the context's deadline: what [os.IsTimeout]
// asks.
func (e *Error) Timeout() bool {
	return e.Kind == KindTimeout || errors.Is(e, context.DeadlineExceeded)
}

// kindError is one comparable value for each kind.
type kindError struct {
	kind Kind
}

func (e *kindError) Error() string {
	return "osscallback: " + e.kind.String()
}

// takeError makes an error of C's, and frees that.
func takeError(status C.osscb_status, handle *C.osscb_error) *Error {
	e := &Error{Kind: Kind(status)}
	if handle == nil {
		e.Message = "no memory"
		return e
	}
	defer C.osscb_error_free(handle)
	e.Message = C.GoString(C.osscb_error_message(handle))
	e.Source = C.GoString(C.osscb_error_source(handle))
	e.retryable = bool(C.osscb_error_is_retryable(handle))
	e.readFacts(handle)
	if e.OSError != 0 {
		// So that errors.Is knows it as fs.ErrNotExist and the like.
		e.wrapped = append(e.wrapped, syscall.Errno(e.OSError))
	}
	return e
}

// endedBy adds the context's own error to that of a call which it ended.
func (e *Error) endedBy(ctx context.Context) *Error {
	if err := ctx.Err(); err != nil && e.Kind == KindCancelled {
		e.wrapped = append(e.wrapped, err)
		if cause := context.Cause(ctx); cause != err {
			e.wrapped = append(e.wrapped, cause)
		}
	}
	return e
}

// wrongArgument is for what C cannot see. Its words are like the library's own.
func wrongArgument(field, message string) *Error {
	return &Error{Kind: KindInvalidArgument, Field: field, Message: field + ": " + message}
}

func isNil(field string) *Error {
	return wrongArgument(field, "is nil")
}
