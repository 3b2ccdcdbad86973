//go:build cgo && unix

package osscallback

// #include "send.h"
import "C"

import (
	"context"
	"errors"
	"os"
	"runtime/cgo"
	"syscall"
	"time"
)

// answerSocket is a connection of the library's, as Go's network poller knows it: kept with the connection,
// and let go when that closes. One call at a time has it.
type answerSocket struct {
	file *os.File
	conn syscall.RawConn
	// When the poller gives up waiting.
	due time.Time
}

// socketOf is what a call waits for. Nil if the poller does not take it.
func socketOf(call *C.osscb_call, wait *C.go_wait) *answerSocket {
	if wait.attached != 0 {
		return cgo.Handle(wait.attached).Value().(*answerSocket)
	}
	file, conn, err := polled(int(wait.descriptor))
	if err != nil {
		return nil
	}
	socket := &answerSocket{file: file, conn: conn}
	handle := cgo.NewHandle(socket)
	if C.go_attach(call, C.uintptr_t(handle), nil) != C.OSSCB_STATUS_OK {
		handle.Delete()
		file.Close()
		return nil
	}
	return socket
}

// polled makes a file of a copy of a descriptor, as a file of Go's owns its own, for the poller to watch.
func polled(descriptor int) (*os.File, syscall.RawConn, error) {
	syscall.ForkLock.RLock()
	ours, err := syscall.Dup(descriptor)
	if err == nil {
		syscall.CloseOnExec(ours)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(ours), "oss-callback")
	conn, err := file.SyscallConn()
	if err == nil {
		// It fails where the poller does not watch the file.
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, conn, nil
}

// await calls look, and again whenever the socket can be read from, until it says that it has seen enough,
// the time is over, or somebody wakes it. It reports false, and has done nothing, where it cannot wait.
func (s *answerSocket) await(ctx context.Context, timeout time.Duration, look func() bool) bool {
	if s == nil {
		return false
	}
	// Most calls end long before they are due: then the next can do with the same limit, and comes back once
	// too early at most.
	now := time.Now()
	if due := now.Add(timeout); s.due.Before(now) || s.due.After(due) {
		s.due = due
		s.file.SetReadDeadline(due)
	}
	if ctx.Err() != nil {
		// Whoever was to wake us may have been here before.
		look()
		return true
	}
	err := s.conn.Read(func(uintptr) bool { return look() })
	if err != nil {
		s.due = time.Time{}
	}
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// wake ends an await of another goroutine's, or the next: that does no harm.
func (s *answerSocket) wake() {
	s.file.SetReadDeadline(time.Unix(1, 0))
}

// released is told that the connection has closed.
func (s *answerSocket) released() {
	// Not here: a connection that breaks while somebody looks at it closes while the file is in use, for
	// which Close would wait.
	go s.file.Close()
}
