package osscallback

// #include "bridge.h"
import "C"

import (
	"math"
	"sort"
	"strconv"
	"time"
	"unsafe"
)

// Version returns the version of the library that is linked, such as 0.1.0.
func Version() string {
	return C.GoString(C.osscb_version())
}

// liveHandles is how many handles of the library are alive in the process: for tests that nothing leaks.
func liveHandles() uint64 {
	return uint64(C.osscb_live_handles())
}

// text lends a string for one call; an empty one is "no text" where C knows that.
func text(s string) C.osscb_str {
	if s == "" {
		return C.osscb_str{}
	}
	return C.osscb_str{ptr: (*C.char)(unsafe.Pointer(unsafe.StringData(s))), len: C.size_t(len(s))}
}

// firstByte lends bytes for one call: by a byte pointer, not void *, which says that there are no Go pointers
// behind it, wherever data lies.
func firstByte(data []byte) *C.uint8_t {
	return (*C.uint8_t)(unsafe.SliceData(data))
}

// milliseconds rounds up, so that little does not become nothing. What is below zero becomes 0, which
// the library refuses with the words that it has for it.
func milliseconds(d time.Duration) C.uint64_t {
	if d <= 0 {
		return 0
	}
	whole := d / time.Millisecond
	if d%time.Millisecond != 0 {
		whole++
	}
	return C.uint64_t(whole)
}

// wholeSeconds rounds down, so that nothing holds for longer than asked.
func wholeSeconds(d time.Duration) C.uint64_t {
	if d <= 0 {
		return 0
	}
	return C.uint64_t(d / time.Second)
}

// unixSeconds is the moment as C has it; the zero time is now.
func unixSeconds(t time.Time) C.int64_t {
	if t.IsZero() {
		return C.OSSCB_NOW
	}
	return C.int64_t(t.Unix())
}

func sortedNames[V any](pairs map[string]V) []string {
	names := make([]string, 0, len(pairs))
	for name := range pairs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func valueName(value int32, names ...string) string {
	switch {
	case value == 0:
		return ""
	case value > 0 && int(value) <= len(names):
		return names[value-1]
	}
	return strconv.Itoa(int(value))
}

// texts packs strings for C without a pointer among them: Go may lend such memory.
type texts struct {
	bytes []byte
	lens  []C.size_t
}

func (t *texts) add(s string) {
	t.bytes = append(t.bytes, s...)
	t.lens = append(t.lens, C.size_t(len(s)))
}

func (t *texts) addNone() {
	t.lens = append(t.lens, math.MaxUint)
}

func (t *texts) addOptional(s string) {
	if s == "" {
		t.addNone()
		return
	}
	t.add(s)
}

// start returns the first byte, for C's sake also when there is none.
func (t *texts) start() *C.char {
	t.bytes = append(t.bytes, 0)
	return (*C.char)(unsafe.Pointer(&t.bytes[0]))
}

func (t *texts) lengths() *C.size_t {
	t.lens = append(t.lens, 0)
	return &t.lens[0]
}

// pairMap copies pairs that a handle lends, or that the caller frees.
func pairMap(pairs *C.osscb_pairs) map[string]string {
	count := C.osscb_pairs_count(pairs)
	out := make(map[string]string, int(count))
	for i := C.size_t(0); i < count; i++ {
		out[C.GoString(C.osscb_pairs_name(pairs, i))] = C.GoString(C.osscb_pairs_value(pairs, i))
	}
	return out
}
