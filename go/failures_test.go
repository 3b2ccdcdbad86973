package osscallback_test

// The scenarios of tests/scenarios.toml in which something fails.

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

func TestFailedCallbackSaysTheObjectIsStored(t *testing.T) {
	client, app := bedClient(t), at(t, "APP_URL")
	for _, c := range []struct {
		url    string
		cause  osscallback.Cause
		ec     string
		status int
	}{
		{app + "/status/500", osscallback.CauseBadStatus, "0007-00000203", 500},
		{app + "/status/201", osscallback.CauseBadStatus, "0007-00000203", 201},
		{app + "/redirect", osscallback.CauseBadStatus, "0007-00000203", 302},
		{app + "/reset", osscallback.CauseUnreachable, "0007-00000203", 0},
		{at(t, "DEAD_URL"), osscallback.CauseUnreachable, "0007-00000203", 0},
		{app + "/empty", osscallback.CauseBadContentLength, "0007-00000204", 400},
		{app + "/text", osscallback.CauseNotJSON, "0007-00000205", 0},
		{app + "/bom", osscallback.CauseNotJSON, "0007-00000205", 0},
	} {
		_, err := client.PutObjectWithCallback(ctx, bucket, "a.txt", hello, callbackToURL(t, c.url, nil), nil)
		e := failure(t, err)
		if !errors.Is(err, osscallback.ErrCallbackFailed) || errors.Is(err, osscallback.ErrService) {
			t.Errorf("%s: %v", c.url, err)
		}
		equal(t, c.url, e.Cause, c.cause)
		equal(t, c.url, e.EC, c.ec)
		equal(t, c.url, e.CallbackStatus, c.status)
		equal(t, c.url, e.Status, 203)
		equal(t, c.url, e.Stored, true)
		equal(t, c.url, e.ETag, "F0F18C2C66AE1DD512BDCD4366F76DA3")
		equal(t, c.url, *e.CRC64, crcOf(hello))
		if e.Hint == "" || e.RequestID == "" || !strings.Contains(e.Error(), e.Hint) {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

func TestWrongSecretIsAServiceError(t *testing.T) {
	options := bedOptions(t)
	options.AccessKeySecret = "wr0ng-secret"
	client := newClient(t, options)
	_, err := client.PutObjectWithCallback(ctx, bucket, "a", hello, callbackTo(t, "/ok", nil), nil)
	e := failure(t, err)
	if !errors.Is(err, osscallback.ErrService) {
		t.Error(err)
	}
	equal(t, "status", e.Status, 403)
	equal(t, "code", e.Code, "SignatureDoesNotMatch")
	if e.RequestID == "" || !strings.Contains(e.StringToSign, "\n") {
		t.Errorf("%#v", e)
	}
	for _, secret := range []string{"wr0ng-secret", "Signature=", e.StringToSign} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in %v", secret, err)
		}
	}
}

func TestInvalidCallbackIsRefusedBeforeAnythingIsSent(t *testing.T) {
	for _, c := range []struct{ url, body, field, ec string }{
		{"http://a.example/cb", "o=${objekt}", "callback.body", ""},
		{"http://a.example/cb", "o=${x:missing}", "callback.body", ""},
		{"http://a.example:port/cb", "", "callback.url", "0007-00000004"},
		{"ftp://a.example/cb", "", "callback.url", "0007-00000004"},
		{"", "", "callback.url", ""},
	} {
		_, err := osscallback.NewCallback(c.url, &osscallback.CallbackOptions{Body: c.body})
		e := failure(t, err)
		equal(t, "kind", e.Kind, osscallback.KindInvalidArgument)
		equal(t, c.url, e.Field, c.field)
		if c.ec != "" {
			equal(t, c.url, e.EC, c.ec)
		}
	}
}

func TestInvalidArgumentsNameTheirField(t *testing.T) {
	client, callback := bedClient(t), callbackTo(t, "/ok?invalid-arguments", nil)
	type put = osscallback.PutOptions
	for _, c := range []struct {
		bucket, key string
		opts        *put
		field       string
	}{
		{"No_Bucket", "a", nil, "bucket"},
		{"", "a", nil, "bucket"},
		{bucket, "", nil, "key"},
		{bucket, "not \xff UTF-8", nil, "key"},
		{bucket, "a", &put{TrafficLimit: 1}, "traffic_limit"},
		{bucket, "a", &put{Metadata: map[string]string{"name": "line\r\nbreak: yes"}}, "metadata"},
		{bucket, "a", &put{ContentMD5: "d41d8cd98f00b204e9800998ecf8427e"}, "content_md5"},
		{bucket, "a", &put{Headers: map[string]string{"Authorization": "mine"}}, "headers"},
		{bucket, "a", &put{Timeout: -time.Second}, "timeout"},
		{bucket, "a", &put{ACL: 77}, "acl"},
	} {
		_, err := client.PutObjectWithCallback(ctx, c.bucket, c.key, hello, callback, c.opts)
		e := failure(t, err)
		equal(t, e.Message, e.Kind, osscallback.KindInvalidArgument)
		equal(t, e.Message, e.Field, c.field)
	}
	_, err := osscallback.NewClient(osscallback.Options{Region: "oss-cn-hangzhou"})
	equal(t, "client option", failure(t, err).Field, "region")
}

func TestDamagedDataIsAnIntegrityError(t *testing.T) {
	client := clientOf(t, "FAULTY_ENDPOINT")
	_, err := client.PutObjectWithCallback(ctx, bucket, "wrong-crc/a", hello, anywhere(t), nil)
	if e := failure(t, err); !errors.Is(err, osscallback.ErrIntegrity) || e.Retryable() || e.Stored || e.ETag == "" {
		t.Error(err)
	}
}

func TestRefusedConnectionIsANetworkError(t *testing.T) {
	client := clientOf(t, "DEAD_ENDPOINT")
	_, err := client.PutObjectWithCallback(ctx, bucket, "secret-name", hello, anywhere(t), nil)
	if !errors.Is(err, osscallback.ErrNetwork) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(at(t, "DEAD_ENDPOINT"), "http://")
	if !strings.Contains(err.Error(), host) || strings.Contains(err.Error(), "secret-name") {
		t.Error(err)
	}
}

func TestTimeoutIsReported(t *testing.T) {
	client := clientOf(t, "FAULTY_ENDPOINT")
	opts := &osscallback.PutOptions{Timeout: 300 * time.Millisecond}
	begun := time.Now()
	_, err := client.PutObjectWithCallback(ctx, bucket, "hang/a", hello, anywhere(t), opts)
	if took := time.Since(begun); took < 250*time.Millisecond || took > hang/2 {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, osscallback.ErrTimeout) {
		t.Error(err)
	}
	equal(t, "os.IsTimeout", os.IsTimeout(err), true)
}

func TestCancelEndsTheCallPromptly(t *testing.T) {
	inEveryWay(t, cancelEndsTheCallPromptly)
}

func cancelEndsTheCallPromptly(t *testing.T, among func(*osscallback.Client)) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	among(client)
	put := func(ctx context.Context, key string) error {
		_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil)
		return err
	}
	reason := errors.New("the user left")
	cancelled, cancel := context.WithCancelCause(ctx)
	time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
	begun := time.Now()
	err := put(cancelled, "hang/a")
	if took := time.Since(begun); took > hang/10 {
		t.Errorf("took %v", took)
	}
	for _, target := range []error{osscallback.ErrCancelled, context.Canceled, reason} {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
	equal(t, "Timeout()", failure(t, err).Timeout(), false)

	late, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	err = put(late, "hang/a")
	if !errors.Is(err, osscallback.ErrCancelled) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	equal(t, "Timeout()", failure(t, err).Timeout(), true)

	if err := put(ctx, "json/a"); err != nil {
		t.Errorf("the client works on: %v", err)
	}
}

func TestLogIsAskedForByTheEnvironment(t *testing.T) {
	log := func(level string) string {
		child := exec.Command(os.Args[0], "-test.run=^(TestReplyComesBack|TestFailedCallbackSaysTheObjectIsStored)$")
		// Its testbed is this one.
		child.Env = append(os.Environ(), "OSS_CALLBACK_TESTBED=", "OSS_CALLBACK_LOG="+level)
		var lines strings.Builder
		child.Stderr = &lines
		if err := child.Run(); err != nil {
			t.Fatalf("%v\n%s", err, lines.String())
		}
		if strings.Contains(lines.String(), at(t, "OSS_ACCESS_KEY_SECRET")) {
			t.Error("the secret is shown")
		}
		return lines.String()
	}
	equal(t, "lines unasked", log(""), "")
	lines := log("debug")
	has(t, "an upload", lines, ": uploaded bucket=\"examplebucket\" key=\"a.txt\"")
	has(t, "a failed callback", lines, ": not uploaded bucket=\"examplebucket\" key=\"a.txt\"")
}
