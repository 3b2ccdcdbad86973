package osscallback_test

// The whole way round: uploader, OSS, net/http, verifier and seal, answer, uploader.

import (
	"bytes"
	"context"
	"errors"
	"go/build"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
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
	handle func(context.Context, *osscallback.CallbackEvent) (any, error), how *osscallback.HandlerOptions,
) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", newVerifier(t, options).Handler(handle, how)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/api/oss%20done?shop=1"
}

func TestUploadsAreAnsweredByAHandler(t *testing.T) {
	log := logged(t)
	seal := &osscallback.SealOptions{Secret: sealSecret, ExpiresIn: time.Minute}
	options := osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), SealSecret: []osscallback.Secret{sealSecret}, Bucket: []string{bucket},
		MaxBody: math.MaxUint64,
	}
	client := bedClient(t)
	handle := func(ctx context.Context, event *osscallback.CallbackEvent) (any, error) {
		switch event.Variables["want"] {
		case "confirmed":
			other := must(osscallback.ParseCallbackEvent(
				[]byte("bucket="+bucket+"&object=never&size=1"), osscallback.BodyTypeForm, ""))(t)
			_, err := client.Confirm(ctx, other)
			return nil, err
		case "error":
			return nil, errors.New("no such order")
		case "no json":
			return []byte("OK"), nil
		case "own refusal":
			return osscallback.Refusal(), nil
		case "own answer":
			return *must(osscallback.NewAnswer([]byte(`{"own":true}`)))(t), nil
		case "no status":
			return &osscallback.Answer{Body: []byte("{}")}, nil
		case "no length":
			return osscallback.Answer{Status: 200, Body: []byte(`"` + strings.Repeat("a", 9000) + `"`)}, nil
		case "no answer":
			return (*osscallback.Answer)(nil), nil
		}
		return map[string]any{"key": event.Key, "order": event.Variables["want"]}, nil
	}
	address := serveCallbacks(t, options, handle, nil)
	upload := func(want string, seal *osscallback.SealOptions) (*osscallback.CallbackReply, error) {
		callback := callbackToURL(t, address, &osscallback.CallbackOptions{
			Vars: map[string]string{"want": want}, Seal: seal,
		})
		return client.PutObjectWithCallback(ctx, bucket, "dir/ø + %.txt", hello, callback, nil)
	}
	reply := must(upload("42", seal))(t)
	equal(t, "reply", reply.Text(), `{"key":"dir/ø + %.txt","order":"42"}`)
	equal(t, "log", log.String(), "")
	equal(t, "reply", must(upload("own answer", seal))(t).Text(), `{"own":true}`)
	equal(t, "reply", must(upload("no answer", seal))(t).Text(), "null")
	equal(t, "length", len(must(upload("no length", seal))(t).Body), 9002)
	_, err := upload("own refusal", seal)
	equal(t, "status of an own refusal", failure(t, err).CallbackStatus, 403)
	for want, expected := range map[string]struct {
		status int
		says   string
	}{
		"error":     {500, "level=ERROR msg=\"callback not answered\" error=\"no such order\""},
		"no json":   {500, "0007-00000205"},
		"no status": {500, "status: is 0, but must be from 200 to 599"},
		"confirmed": {403, "level=WARN msg=\"callback refused\" reason=object_missing"},
	} {
		_, err := upload(want, seal)
		e := failure(t, err)
		equal(t, want, e.Kind, osscallback.KindCallbackFailed)
		equal(t, want, e.Stored, true)
		equal(t, want, e.CallbackStatus, expected.status)
		has(t, "log", log.String(), expected.says)
	}
	log.Reset()
	_, err = upload("42", nil)
	equal(t, "without a seal", failure(t, err).Kind, osscallback.KindCallbackFailed)
	if !strings.Contains(log.String(), "reason=seal_missing") {
		t.Errorf("log: %s", log)
	}
}

func TestAHandlerRefusesForgedOversizedAndSlowRequests(t *testing.T) {
	unused, log := logged(t), &sharedLog{}
	options := osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), MaxBody: 1000, BodyTimeout: 2 * time.Second,
	}
	how := &osscallback.HandlerOptions{Logger: slog.New(slog.NewTextHandler(log, nil))}
	address := serveCallbacks(t, options, func(context.Context, *osscallback.CallbackEvent) (any, error) {
		t.Error("a forged request was handed on")
		return nil, nil
	}, how)
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
	began := time.Now()
	said := sendSlowly(t, address)
	if took := time.Since(began); took < 1900*time.Millisecond || took > 10*time.Second {
		t.Errorf("a slow request was answered after %v", took)
	}
	has(t, "said", said, "HTTP/1.1 403 ")
	has(t, "log", log.String(), "level=WARN msg=\"callback refused\" error=")
	has(t, "log", log.String(), "did not arrive within 2s")
	equal(t, "what is logged elsewhere", unused.String(), "")
}

// sendSlowly begins a request whose body never comes, and returns what it is answered until the server hangs up.
func sendSlowly(t *testing.T, address string) string {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	slow := must(net.Dial("tcp", host))(t)
	defer slow.Close()
	_, _ = io.WriteString(slow, "POST /"+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow")
	// Whatever is said, the server does not wait for ever.
	_ = slow.SetReadDeadline(time.Now().Add(20 * time.Second))
	said, err := io.ReadAll(slow)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server still waits for the body")
	}
	return string(said)
}

func TestATimeForTheBodyBelowZeroIsRefused(t *testing.T) {
	_, err := osscallback.NewCallbackVerifier(osscallback.VerifierOptions{BodyTimeout: -time.Second})
	equal(t, "field", failure(t, err).Field, "body_timeout")
}

func TestAHandlersContextOutlivesTheTimeOfTheBody(t *testing.T) {
	options := osscallback.VerifierOptions{TrustedKeys: bedKey(t), BodyTimeout: time.Second}
	address := serveCallbacks(t, options, func(ctx context.Context, _ *osscallback.CallbackEvent) (any, error) {
		time.Sleep(1500 * time.Millisecond)
		return "still there", ctx.Err()
	}, nil)
	reply := must(bedClient(t).PutObjectWithCallback(
		ctx, bucket, "a", hello, callbackToURL(t, address, nil), nil))(t)
	equal(t, "reply", reply.Text(), `"still there"`)
}

func TestAStricterReadTimeoutOfTheServerHolds(t *testing.T) {
	_ = logged(t)
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t), BodyTimeout: 15 * time.Second})
	handle := func(context.Context, *osscallback.CallbackEvent) (any, error) { return nil, nil }
	server := httptest.NewUnstartedServer(verifier.Handler(handle, nil))
	server.Config.ReadTimeout = 2 * time.Second
	server.Start()
	defer server.Close()
	began := time.Now()
	has(t, "said", sendSlowly(t, server.URL+"/"), "HTTP/1.1 403 ")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("answered after %v", took)
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	log := logged(t)
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t)})
	answered := func(verifier *osscallback.CallbackVerifier, body io.Reader) int {
		recorder := httptest.NewRecorder()
		handle := func(context.Context, *osscallback.CallbackEvent) (any, error) { return nil, nil }
		verifier.Handler(handle, nil).ServeHTTP(recorder, httptest.NewRequest("POST", "/", body))
		return recorder.Code
	}
	equal(t, "status", answered(verifier, iotest.ErrReader(io.ErrUnexpectedEOF)), 403)
	has(t, "log", log.String(), "did not arrive whole")
	equal(t, "status without a verifier", answered(nil, strings.NewReader("a=1")), 500)
}

func TestABodyThatBreaksOffIsAnErrorOfThePackage(t *testing.T) {
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t)})
	for cause, kind := range map[error]osscallback.Kind{
		io.ErrUnexpectedEOF:    osscallback.KindNetwork,
		os.ErrDeadlineExceeded: osscallback.KindTimeout,
	} {
		request := httptest.NewRequest("POST", "/", iotest.ErrReader(cause))
		_, err := verifier.VerifyRequest(request)
		equal(t, "kind", failure(t, err).Kind, kind)
		equal(t, "cause", errors.Is(err, cause), true)
	}
}

// Verify has no request to take a context from.
func TestFirstUseGetsTheContextOfTheRequest(t *testing.T) {
	type key struct{}
	sealed := sealedRequest(t)
	for want, verify := range map[any]func(*osscallback.CallbackVerifier) error{
		"of the request": func(verifier *osscallback.CallbackVerifier) error {
			request := httptest.NewRequest(sealed.method, sealed.target, bytes.NewReader(sealed.body))
			request.Header = sealed.headers
			_, err := verifier.VerifyRequest(request.WithContext(context.WithValue(ctx, key{}, "of the request")))
			return err
		},
		nil: func(verifier *osscallback.CallbackVerifier) error {
			_, err := sealed.verify(verifier)
			return err
		},
	} {
		verifier := onceVerifier(t, func(ctx context.Context, _ string, _ time.Time) (bool, error) {
			equal(t, "context", ctx.Value(key{}), want)
			return true, nil
		})
		equal(t, "error", verify(verifier), nil)
	}
}

// Without cgo, the one line of nocgo.go is all that the compiler complains of.
func TestWithoutCgoNothingElseIsCompiled(t *testing.T) {
	without := build.Default
	without.CgoEnabled = false
	found := must(without.ImportDir(".", 0))(t)
	equal(t, "files", strings.Join(found.GoFiles, " "), "doc.go nocgo.go values.go")
}
