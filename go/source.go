package osscallback

// #include "send.h"
import "C"

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Source is what an upload reads; made by [FromPath], [FromFile], [FromBytes], [FromReader] or
// [FromReaderOfLength]. Paths, regular files and bytes may be used by any number of uploads; a reader can
// be read only once.
type Source struct {
	path   string
	file   *os.File
	data   []byte
	reader io.Reader
	length int64
	kind   sourceKind
}

type sourceKind int

const (
	noSource sourceKind = iota
	pathSource
	fileSource
	bytesSource
	readerSource
)

// What stands for a length that is not known.
const unknownLength = -1

// FromPath is the whole file under a path, which is opened when an upload begins. One that cannot be
// opened, or changes while it is read, fails the upload with [ErrSource].
func FromPath(path string) Source {
	return Source{kind: pathSource, path: path}
}

// FromFile is what is left of an open file, from its position to its end; what is no regular file, such as
// a pipe, is read as a stream of unknown length. The file stays yours to close; the position of a regular
// file does not move.
func FromFile(file *os.File) Source {
	return Source{kind: fileSource, file: file}
}

// FromBytes is memory, sent from where it lies, not copied: do not change it before the call returns.
func FromBytes(data []byte) Source {
	return Source{kind: bytesSource, data: data}
}

// FromReader is what a reader gives until [io.EOF]. An [*os.File] is taken as by [FromFile]; of a
// [*bytes.Reader], a [*bytes.Buffer] or a [*strings.Reader] the length is known, of others it is not: for
// them, see [FromReaderOfLength].
//
// It is read by one goroutine at a time. Its error ends the upload with [ErrSource], and is found by
// [errors.Is] in the upload's error. The call does not return while a Read is under way, even when its
// context has ended.
func FromReader(reader io.Reader) Source {
	length := int64(unknownLength)
	// These and no others, as net/http has it: what else has a Len may count something else by it.
	switch known := reader.(type) {
	case *os.File:
		return FromFile(known)
	case *bytes.Buffer:
		length = int64(known.Len())
	case *bytes.Reader:
		length = int64(known.Len())
	case *strings.Reader:
		length = int64(known.Len())
	}
	return FromReaderOfLength(reader, length)
}

// FromReaderOfLength is a reader that gives so many bytes. If they are less or more, the upload ends with
// [ErrSource], and nothing is stored.
func FromReaderOfLength(reader io.Reader, length int64) Source {
	return Source{kind: readerSource, reader: reader, length: length}
}

// reading is a reader that C reads, and what became of it.
type reading struct {
	reader io.Reader
	// What came with the last bytes: only of io.EOF is it promised that it comes again.
	pending  error
	failed   error
	panicked any
}

// open makes C's source. done lets go of it, and of what it keeps from Go.
func (s Source) open() (source *C.osscb_source, read *reading, done func(), err error) {
	var failure *C.osscb_error
	var status C.osscb_status
	var pins runtime.Pinner
	switch {
	case s.kind == noSource:
		return nil, nil, nil, wrongArgument("source", "is the zero value: make it by FromPath or its like")
	case s.kind == pathSource:
		status = C.osscb_source_of_path(text(s.path), &source, &failure)
	case s.kind == fileSource && s.file == nil:
		return nil, nil, nil, isNil("source")
	case s.kind == fileSource && !isRegular(s.file):
		// Go's pipes and sockets do not block, and C's reading would fail.
		s = FromReaderOfLength(s.file, unknownLength)
		return s.open()
	case s.kind == fileSource:
		// Not Fd, which would have the file block its thread from then on.
		raw, err := s.file.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) {
				status = C.osscb_source_of_fd(C.int(fd), &source, &failure)
			})
		}
		if err != nil {
			e := &Error{Kind: KindSource, Message: "the source cannot be read: " + err.Error()}
			e.wrapped = []error{err}
			return nil, nil, nil, e
		}
	case s.kind == bytesSource:
		first := unsafe.SliceData(s.data)
		if first != nil {
			pins.Pin(first)
		}
		status = C.go_source_of_memory((*C.uint8_t)(first), C.size_t(len(s.data)), &source, &failure)
	case s.reader == nil:
		return nil, nil, nil, isNil("source")
	default:
		length := C.uint64_t(math.MaxUint64)
		if s.length < unknownLength {
			return nil, nil, nil, wrongArgument("length", fmt.Sprintf("must not be negative, but is %d", s.length))
		} else if s.length != unknownLength {
			length = C.uint64_t(s.length)
		}
		read = &reading{reader: s.reader}
		status = C.go_source_of_function(length, C.uintptr_t(cgo.NewHandle(read)), &source, &failure)
	}
	if status != C.OSSCB_STATUS_OK {
		pins.Unpin()
		return nil, nil, nil, takeError(status, failure)
	}
	return source, read, func() {
		C.osscb_source_free(source)
		pins.Unpin()
	}, nil
}

func isRegular(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// explain adds the reader's own error to that of the upload. A panic of the reader goes on where the
// upload was called.
func (r *reading) explain(e *Error) *Error {
	if r == nil {
		return e
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	if e.Kind == KindSource && r.failed != nil {
		e.wrapped = append(e.wrapped, r.failed)
	}
	return e
}

// next reads on; 0 is the end, below 0 a failure.
func (r *reading) next(buffer []byte) int {
	// A reader may give nothing and no error; C would take that for the end.
	for tries := 0; tries < 100; tries++ {
		n, err := 0, r.pending
		if err == nil {
			n, err = r.reader.Read(buffer)
		}
		switch {
		case n < 0 || n > len(buffer):
			r.failed = fmt.Errorf("the reader said that it read %d bytes into %d", n, len(buffer))
			return -1
		case n > 0:
			r.pending = err
			return n
		case err == io.EOF:
			// Itself and nothing that wraps it: that says that the end came too early.
			return 0
		case err != nil:
			r.failed = err
			return -1
		}
	}
	r.failed = io.ErrNoProgress
	return -1
}

//export goRead
func goRead(
	context C.uintptr_t, buffer *C.uint8_t, capacity C.size_t, failure *C.osscb_failure,
) (n C.int64_t) {
	read := cgo.Handle(context).Value().(*reading)
	defer func() {
		if panicked := recover(); panicked != nil {
			read.panicked, n = panicked, -1
		}
	}()
	n = C.int64_t(read.next(unsafe.Slice((*byte)(buffer), int(capacity))))
	if n < 0 {
		C.osscb_failure_set(failure, text(read.failed.Error()))
	}
	return n
}
