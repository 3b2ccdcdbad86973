package osscallback_test

// Readers that fail, lie or panic.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// lines counts what it has in a unit of its own.
type lines struct{ io.Reader }

func (lines) Len() int { return 3 }

// What progress tells of the whole shows which lengths are known.
func TestLengthsOfReadersAreThoseOfTheStandardLibrary(t *testing.T) {
	client, callback, data := bedClient(t), anywhere(t), pattern(3*mib)
	enough := errors.New("enough")
	for name, reader := range map[string]struct {
		io.Reader
		total int64
	}{
		"bytes.Buffer":   {bytes.NewBuffer(data), 3 * mib},
		"bytes.Reader":   {bytes.NewReader(data), 3 * mib},
		"strings.Reader": {strings.NewReader(string(data)), 3 * mib},
		"others":         {lines{bytes.NewReader(data)}, -1},
	} {
		options := inParts()
		options.Progress = func(progress osscallback.Progress) error {
			equal(t, name, progress.BytesTotal, reader.total)
			return enough
		}
		_, err := client.UploadFileWithCallback(
			ctx, bucket, "a", osscallback.FromReader(reader.Reader), callback, options)
		equal(t, name, errors.Is(err, enough), true)
	}
}

func TestBrokenSourceIsASourceError(t *testing.T) {
	client := bedClient(t)
	mine := errors.New("the disk is on fire")
	marker := fmt.Sprintf("broken-%d", time.Now().UnixNano())
	callback := callbackTo(t, "/ok", &osscallback.CallbackOptions{Vars: map[string]string{"marker": marker}})
	broken := func() io.Reader {
		return io.MultiReader(bytes.NewReader(pattern(mib)), iotest.ErrReader(mine))
	}
	short := func() io.Reader { return io.MultiReader(bytes.NewReader(pattern(mib))) }
	for what, source := range map[string]func() osscallback.Source{
		"fails":       func() osscallback.Source { return osscallback.FromReader(broken()) },
		"ends early":  func() osscallback.Source { return osscallback.FromReaderOfLength(short(), 2*mib) },
		"ends late":   func() osscallback.Source { return osscallback.FromReaderOfLength(short(), mib/2) },
		"no progress": func() osscallback.Source { return osscallback.FromReader(idle{}) },
		"too much":    func() osscallback.Source { return osscallback.FromReader(boaster{}) },
	} {
		_, put := client.PutSourceWithCallback(ctx, bucket, "a", source(), callback, nil)
		_, upload := client.UploadFileWithCallback(ctx, bucket, "a", source(), callback, inParts())
		for _, err := range []error{put, upload} {
			equal(t, what, failure(t, err).Kind, osscallback.KindSource)
			if what == "fails" && (!errors.Is(err, mine) || !strings.Contains(err.Error(), mine.Error())) {
				t.Errorf("%v", err)
			}
		}
	}
	for what, wrong := range map[string]error{"own": mine, "wraps EOF": fmt.Errorf("cut off: %w", io.EOF)} {
		for _, bytes := range []int{0, 5} {
			source := osscallback.FromReader(&forgetful{bytes: bytes, err: wrong})
			_, err := client.PutSourceWithCallback(ctx, bucket, "a", source, callback, nil)
			if e := failure(t, err); e.Kind != osscallback.KindSource || !errors.Is(err, wrong) {
				t.Errorf("%s with %d bytes: %v", what, bytes, err)
			}
		}
	}
	equal(t, "callbacks", get(t, at(t, "APP_URL")+"/__count/"+marker), "0")
	equal(t, "a panic", panicOf(func() {
		_, _ = client.PutSourceWithCallback(ctx, bucket, "a", osscallback.FromReader(panicking{}), callback, nil)
	}), "unlikely")
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// forgetful returns its error once, with its last bytes, and then only says that it is at its end.
type forgetful struct {
	bytes int
	err   error
}

func (f *forgetful) Read(buffer []byte) (int, error) {
	err := f.err
	if f.err = io.EOF; err == io.EOF {
		return 0, err
	}
	return copy(buffer, hello[:f.bytes]), err
}

type boaster struct{}

func (boaster) Read(buffer []byte) (int, error) { return len(buffer) + 1, nil }

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("unlikely") }

// panicOf is what call panics with.
func panicOf(call func()) (panicked any) {
	defer func() { panicked = recover() }()
	call()
	return nil
}

func TestAFileThatIsNotThereIsKnownAsSuch(t *testing.T) {
	nowhere := osscallback.FromPath(t.TempDir() + "/none")
	_, err := bedClient(t).UploadFileWithCallback(ctx, bucket, "a", nowhere, anywhere(t), nil)
	if !errors.Is(err, osscallback.ErrSource) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	equal(t, "number", failure(t, err).OSError, int(syscall.ENOENT))
}
