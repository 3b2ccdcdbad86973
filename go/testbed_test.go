package osscallback_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

const bucket = "examplebucket"

// at is an address or credential of the testbed (tests/rust/src/bin/testbed.rs).
func at(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run this under `cargo xtask test go`", name)
	}
	return value
}

// bedOptions are those of a client of the testbed's emulator.
func bedOptions(t testing.TB) osscallback.Options {
	t.Helper()
	return osscallback.Options{
		Endpoint:        at(t, "OSS_ENDPOINT"),
		Region:          at(t, "OSS_REGION"),
		AccessKeyID:     at(t, "OSS_ACCESS_KEY_ID"),
		AccessKeySecret: osscallback.Secret(at(t, "OSS_ACCESS_KEY_SECRET")),
	}
}

func newClient(t testing.TB, options osscallback.Options) *osscallback.Client {
	t.Helper()
	client := must(osscallback.NewClient(options))(t)
	t.Cleanup(func() { client.Close() })
	return client
}

func bedClient(t testing.TB) *osscallback.Client {
	t.Helper()
	return newClient(t, bedOptions(t))
}

// clientOf is a client of another server of the testbed.
func clientOf(t testing.TB, name string) *osscallback.Client {
	t.Helper()
	options := bedOptions(t)
	options.Endpoint = at(t, name)
	return newClient(t, options)
}

// callbackTo is a callback to a path of the application server.
func callbackTo(t testing.TB, path string, opts *osscallback.CallbackOptions) *osscallback.Callback {
	t.Helper()
	return callbackToURL(t, at(t, "APP_URL")+path, opts)
}

func callbackToURL(t testing.TB, url string, opts *osscallback.CallbackOptions) *osscallback.Callback {
	t.Helper()
	callback := must(osscallback.NewCallback(url, opts))(t)
	t.Cleanup(func() { callback.Close() })
	return callback
}

// anywhere is a callback for servers that call nobody.
func anywhere(t testing.TB) *osscallback.Callback {
	t.Helper()
	return callbackToURL(t, "http://app.example.com/cb", nil)
}

// inEveryWay runs a test for each way in which a call waits; among has a client wait in it.
func inEveryWay(t *testing.T, run func(t *testing.T, among func(*osscallback.Client))) {
	t.Helper()
	for name, others := range map[string]int64{
		"alone": osscallback.Alone, "stepped": osscallback.Stepped, "started": osscallback.Started,
	} {
		others := others
		t.Run(name, func(t *testing.T) {
			run(t, func(client *osscallback.Client) { t.Cleanup(osscallback.Among(client, others)) })
		})
	}
}

// hang is how long the misbehaving OSS says nothing when asked for hang/. A call that ended long before did
// not wait for it.
const hang = 20 * time.Second

// until waits for what must come, however slow the machine is.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

// must ends the test on an error: must(f())(t).
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// failure is the error as the package's own; no error fails the test.
func failure(t testing.TB, err error) *osscallback.Error {
	t.Helper()
	var e *osscallback.Error
	if !errors.As(err, &e) {
		t.Fatalf("expected an *osscallback.Error, not %v", err)
	}
	return e
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func has(t testing.TB, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q does not say %q", what, text, part)
	}
}

// echo is what the application server saw.
type echo struct {
	Method  string
	Target  string
	Headers [][2]string
	Body    string
}

func echoOf(t testing.TB, reply *osscallback.CallbackReply) echo {
	t.Helper()
	var seen echo
	if err := reply.JSON(&seen); err != nil {
		t.Fatalf("%v: %s", err, reply.Body)
	}
	return seen
}

// decoded reads JSON into Go's own maps.
func decoded(t testing.TB, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}
