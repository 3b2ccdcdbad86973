package osscallback_test

// The whole way round: uploader, OSS, net/http, verifier and seal, answer, uploader.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// logged collects what the package logs while a test runs.
func logged(t *testing.T) *sharedLog {
	log := &sharedLog{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

// sharedLog is written by servers and read by tests.
type sharedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *sharedLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *sharedLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// serveCallbacks runs an application server behind a mounted path, as with a router.
func serveCallbacks(
	t *testing.T, options osscallback.VerifierOptions,
	handle func(context.Context, *osscallback.CallbackEvent) (any, error),
) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", newVerifier(t, options).Handler(handle)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/api/oss%20done?shop=1"
}

func TestUploadsAreAnsweredByAHandler(t *testing.T) {
	log := logged(t)
	seal := &osscallback.SealOptions{Secret: sealSecret, ExpiresIn: time.Minute}
	options := osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), SealSecret: []osscallback.Secret{sealSecret}, Bucket: []string{bucket},
	}
	address := serveCallbacks(t, options, func(_ context.Context, event *osscallback.CallbackEvent) (any, error) {
		switch event.Variables["want"] {
		case "error":
			return nil, errors.New("no such order")
		case "no json":
			return []byte("OK"), nil
		}
		return map[string]any{"key": event.Key, "order": event.Variables["want"]}, nil
	})
	client := bedClient(t)
	upload := func(want string, seal *osscallback.SealOptions) (*osscallback.CallbackReply, error) {
		callback := callbackToURL(t, address, &osscallback.CallbackOptions{
			Vars: map[string]string{"want": want}, Seal: seal,
		})
		return client.PutObjectWithCallback(ctx, bucket, "dir/ø + %.txt", hello, callback, nil)
	}
	reply := must(upload("42", seal))(t)
	equal(t, "reply", reply.Text(), `{"key":"dir/ø + %.txt","order":"42"}`)
	equal(t, "log", log.String(), "")
	for want, says := range map[string]string{"error": "no such order", "no json": "0007-00000205"} {
		_, err := upload(want, seal)
		e := failure(t, err)
		equal(t, want, e.Kind, osscallback.KindCallbackFailed)
		if !e.Stored || !strings.Contains(log.String(), says) {
			t.Errorf("%v; log: %s", err, log)
		}
	}
	log.Reset()
	_, err := upload("42", nil)
	equal(t, "without a seal", failure(t, err).Kind, osscallback.KindCallbackFailed)
	if !strings.Contains(log.String(), "reason=seal_missing") {
		t.Errorf("log: %s", log)
	}
}

func TestAHandlerRefusesForgedOversizedAndSlowRequests(t *testing.T) {
	log := logged(t)
	// Undone when the server below is gone.
	t.Cleanup(osscallback.SetBodyTime(300 * time.Millisecond))
	options := osscallback.VerifierOptions{TrustedKeys: bedKey(t), MaxBody: 1000}
	address := serveCallbacks(t, options, func(context.Context, *osscallback.CallbackEvent) (any, error) {
		t.Error("a forged request was handed on")
		return nil, nil
	})
	honest := receive(t, "a.txt", nil)
	for reason, body := range map[string]string{
		// The path is another one than OSS signed.
		"wrong_signature": string(honest.body),
		// Not so large that the server hangs up while it is still sent.
		"body_too_large": strings.Repeat("a", 5000),
	} {
		request := must(http.NewRequest("POST", address, strings.NewReader(body)))(t)
		request.Header = honest.headers.Clone()
		answer := must(http.DefaultClient.Do(request))(t)
		said := string(must(io.ReadAll(answer.Body))(t))
		answer.Body.Close()
		equal(t, reason, answer.StatusCode, 403)
		if !strings.Contains(log.String(), "reason="+reason) || strings.Contains(said, reason) {
			t.Errorf("said %s; log: %s", said, log)
		}
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	slow := must(net.Dial("tcp", host))(t)
	defer slow.Close()
	_, _ = io.WriteString(slow, "POST /"+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow")
	// Whatever is said, the server does not wait for ever.
	_ = slow.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadAll(slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server still waits for the body")
	}
}
