//go:build linux && !race

package osscallback_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// resident is the process's memory in bytes, C's included.
func resident(t *testing.T) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	fields := strings.Fields(string(must(os.ReadFile("/proc/self/statm"))(t)))
	return must(strconv.Atoi(fields[1]))(t) * os.Getpagesize()
}

// TestMemoryStaysFlat makes each kind of call many times over: OSS_CALLBACK_CALLS, or few enough for
// every day. 100,000 notice a leak of 64 bytes a call; a leaked handle is noticed at once.
func TestMemoryStaysFlat(t *testing.T) {
	calls := 4000
	if text := os.Getenv("OSS_CALLBACK_CALLS"); text != "" {
		calls = must(strconv.Atoi(text))(t)
	}
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	verifier := newVerifier(t, osscallback.VerifierOptions{
		TrustedKeys: bedKey(t),
		FetchKey:    func(string) ([]byte, error) { return nil, nil },
	})
	data := bytes.Repeat(hello, 1000)
	signer := must(osscallback.NewSigner("id", "secret", &osscallback.SignerOptions{Region: "cn-hangzhou"}))(t)
	defer signer.Close()
	opts := &osscallback.PutOptions{Metadata: map[string]string{"a": "b"}, Timeout: time.Minute}
	bounded, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	round := func() {
		for _, others := range []int64{osscallback.Alone, osscallback.Stepped, osscallback.Started} {
			restore := osscallback.Among(client, others)
			must(client.PutObjectWithCallback(bounded, bucket, "json/a", hello, callback, opts))(t)
			restore()
		}
		_, err := client.PutObjectWithCallback(ctx, bucket, "", hello, callback, opts)
		failure(t, err)
		made := must(osscallback.NewCallback("http://app.example.com/cb", &osscallback.CallbackOptions{
			Vars: map[string]string{"order": "42"},
		}))(t)
		must(made.Preview(map[string]string{"bucket": bucket}))(t)
		made.Close()
		must(client.PutSourceWithCallback(
			ctx, bucket, "json/a", osscallback.FromReader(bytes.NewReader(data)), callback, opts))(t)
		_, err = verifier.Verify("POST", "/", nil, nil)
		failure(t, err)
		must(osscallback.NewAnswer([]byte("{}")))(t)
		must(signer.Sign(osscallback.SignRequest{Method: "GET", Bucket: bucket, Key: "a"}))(t)
	}
	for i := 0; i < 1000; i++ {
		round()
	}
	// What events hold outside Go's memory goes when the collector finds them, in heaps of its own making:
	// here only their handles can be counted.
	honest, alive := receive(t, "a", nil), settledHandles(t)
	for i := 0; i < 1000; i++ {
		must(honest.verify(verifier))(t)
	}
	equal(t, "handles of events", settledHandles(t), alive)
	handles, before := settledHandles(t), resident(t)
	for i := 0; i < calls; i++ {
		round()
	}
	equal(t, "handles", settledHandles(t), handles)
	grown, allowed := resident(t)-before, calls*64+2<<20
	t.Logf("%d rounds: %d KiB more", calls, grown>>10)
	if grown > allowed {
		t.Errorf("%d bytes more after %d rounds: more than %d", grown, calls, allowed)
	}
}
