package osscallback_test

// The scenarios of tests/scenarios.toml.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

var ctx = context.Background()

var hello = []byte("Hello OSS")

func crcOf(data []byte) uint64 {
	return crc64.Checksum(data, crc64.MakeTable(crc64.ECMA))
}

func TestReplyComesBack(t *testing.T) {
	callback := callbackTo(t, "/ok", nil)
	reply := must(bedClient(t).PutObjectWithCallback(ctx, bucket, "a.txt", hello, callback, nil))(t)
	equal(t, "body", string(reply.Body), `{"Status":"OK"}`)
	equal(t, "text", reply.Text(), `{"Status":"OK"}`)
	var answer struct{ Status string }
	if err := reply.JSON(&answer); err != nil || answer.Status != "OK" {
		t.Errorf("%v: %v", answer, err)
	}
	equal(t, "content type", reply.ContentType, "application/json")
	equal(t, "ETag", reply.ETag, "F0F18C2C66AE1DD512BDCD4366F76DA3")
	equal(t, "CRC-64", *reply.CRC64, crcOf(hello))
	equal(t, "length of the request id", len(reply.RequestID), 24)
	equal(t, "version", reply.VersionID, "")
}

func TestApplicationServerReceivesTheCallback(t *testing.T) {
	callback := callbackTo(t, "/echo", &osscallback.CallbackOptions{
		BodyType: osscallback.BodyTypeJSON,
		Body:     `{"object":${object},"size":${size},"note":${x:note}}`,
		Vars:     map[string]string{"note": "brød & \"smør\" 中文"},
		Headers:  map[string]string{"x-my-header": "mine"},
	})
	reply := must(bedClient(t).PutObjectWithCallback(ctx, bucket, "dir/ø.txt", hello, callback, nil))(t)
	seen := echoOf(t, reply)
	equal(t, "method", seen.Method, "POST")
	want := map[string]any{"object": "dir/ø.txt", "size": 9.0, "note": "brød & \"smør\" 中文"}
	if got := decoded(t, seen.Body); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var mine string
	for _, header := range seen.Headers {
		if strings.EqualFold(header[0], "x-my-header") {
			mine = header[1]
		}
	}
	equal(t, "additional header", mine, "mine")
}

func TestBuiltFieldsReachTheApplicationServer(t *testing.T) {
	client := bedClient(t)
	for _, bodyType := range []osscallback.BodyType{osscallback.BodyTypeForm, osscallback.BodyTypeJSON} {
		callback := callbackTo(t, "/echo", &osscallback.CallbackOptions{
			BodyType: bodyType,
			Fields:   map[string]string{"where": "${bucket}", "bytes": "${size}", "a b": "x=1&y=2 中"},
		})
		reply := must(client.PutObjectWithCallback(ctx, bucket, "a", hello, callback, nil))(t)
		body := echoOf(t, reply).Body
		got := map[string]any{}
		if bodyType == osscallback.BodyTypeJSON {
			got = decoded(t, body)
		} else {
			for name, values := range must(url.ParseQuery(body))(t) {
				got[name] = values[0]
			}
			got["bytes"] = float64(len(got["bytes"].(string)) * 9)
		}
		want := map[string]any{"where": bucket, "bytes": 9.0, "a b": "x=1&y=2 中"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %v, want %v", bodyType, got, want)
		}
	}
}

func TestPreviewShowsTheBodyThatIsSent(t *testing.T) {
	client := bedClient(t)
	for _, bodyType := range []osscallback.BodyType{osscallback.BodyTypeForm, osscallback.BodyTypeJSON} {
		callback := callbackTo(t, "/echo", &osscallback.CallbackOptions{
			BodyType: bodyType,
			Vars:     map[string]string{"order": "n° 42/7"},
		})
		reply := must(client.PutObjectWithCallback(ctx, bucket, "dir/a.txt", hello, callback, nil))(t)
		preview := must(callback.Preview(map[string]string{
			"bucket":   bucket,
			"object":   "dir/a.txt",
			"etag":     reply.ETag,
			"size":     "9",
			"mimeType": "text/plain",
		}))(t)
		equal(t, bodyType.String(), preview, echoOf(t, reply).Body)
	}
	_, err := anywhere(t).Preview(map[string]string{"objekt": "a"})
	equal(t, "kind", failure(t, err).Kind, osscallback.KindInvalidArgument)
}

func TestReplyViewsNeverFailTheUpload(t *testing.T) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	for key, body := range map[string]string{
		"json/a":   `{"Status":"OK"}`,
		"text/a":   "thank you",
		"empty/a":  "",
		"binary/a": "\xfe\x00\xff",
	} {
		reply := must(client.PutObjectWithCallback(ctx, bucket, key, nil, callback, nil))(t)
		equal(t, key, string(reply.Body), body)
		var view any
		err := reply.JSON(&view)
		if key == "json/a" {
			equal(t, key, err, nil)
			continue
		}
		if !errors.Is(err, osscallback.ErrInvalidArgument) ||
			!strings.Contains(err.Error(), "the upload itself succeeded") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

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

func TestCallbackInTheQueryWorksTheSame(t *testing.T) {
	opts := &osscallback.PutOptions{CallbackIn: osscallback.CallbackPlacementQuery}
	vars := &osscallback.CallbackOptions{Vars: map[string]string{"a": "b+/="}}
	client := bedClient(t)
	reply := must(client.PutObjectWithCallback(ctx, bucket, "a", hello, callbackTo(t, "/ok", vars), opts))(t)
	equal(t, "body", reply.Text(), `{"Status":"OK"}`)
	_, err := client.PutObjectWithCallback(ctx, bucket, "a", hello, callbackTo(t, "/status/500", vars), opts)
	equal(t, "kind", failure(t, err).Kind, osscallback.KindCallbackFailed)
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

func TestSignatureV1AndV4Work(t *testing.T) {
	versions := []osscallback.SignatureVersion{osscallback.SignatureVersionV1, osscallback.SignatureVersionV4}
	for _, version := range versions {
		options := bedOptions(t)
		options.SignatureVersion = version
		callback := callbackTo(t, "/ok", nil)
		must(newClient(t, options).PutObjectWithCallback(ctx, bucket, "a", hello, callback, nil))(t)
	}
}

func TestStsTokenIsSentAndChecked(t *testing.T) {
	put := func(token osscallback.Secret) error {
		options := bedOptions(t)
		options.AccessKeyID = at(t, "STS_ACCESS_KEY_ID")
		options.AccessKeySecret = osscallback.Secret(at(t, "STS_ACCESS_KEY_SECRET"))
		options.SecurityToken = token
		callback := callbackTo(t, "/ok", nil)
		_, err := newClient(t, options).PutObjectWithCallback(ctx, bucket, "a", hello, callback, nil)
		return err
	}
	if err := put(osscallback.Secret(at(t, "STS_TOKEN"))); err != nil {
		t.Fatal(err)
	}
	e := failure(t, put("AnotherToken"))
	equal(t, "kind", e.Kind, osscallback.KindService)
	equal(t, "status", e.Status, 403)
	if strings.Contains(fmt.Sprintf("%+v %v", *e, e), "AnotherToken") {
		t.Errorf("the token is in %v", e)
	}
}

func TestAwkwardKeysArriveByteForByte(t *testing.T) {
	client := bedClient(t)
	callback := callbackTo(t, "/echo", &osscallback.CallbackOptions{
		BodyType: osscallback.BodyTypeJSON,
		Fields:   map[string]string{"object": "${object}"},
	})
	for _, key := range []string{
		"a//b", "a/./b", "a/../b", "../a", "./a", "a/..", "a/.", "a+b", "a%b", "a%2Fb", "a%2e%2e/b", "a?b=c",
		"a#b", "a b", " a ", "a\"b'c", "a&b=c;d", "a\\b", "a:b@c", "~!*()[]{}|^`<>", "中文/ключ/🎈", "a\u0301",
		"a\tb", "a/", "...", "%", "+",
	} {
		reply := must(client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil))(t)
		equal(t, "key", decoded(t, echoOf(t, reply).Body)["object"].(string), key)
	}
}

func TestSizes01And64MibArriveWhole(t *testing.T) {
	client := bedClient(t)
	callback := callbackTo(t, "/echo", &osscallback.CallbackOptions{Body: "size=${size}&crc64=${crc64}"})
	for _, size := range []int{0, 1, 64 << 20} {
		data := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
		reply := must(client.PutObjectWithCallback(ctx, bucket, "a", data, callback, nil))(t)
		crc := crcOf(data)
		equal(t, "CRC-64", *reply.CRC64, crc)
		equal(t, "body", echoOf(t, reply).Body, fmt.Sprintf("size=%d&crc64=%d", size, crc))
	}
}

func TestUploadOptionsArrive(t *testing.T) {
	client := bedClient(t)
	key := fmt.Sprintf("options-%d.txt", time.Now().UnixNano())
	opts := &osscallback.PutOptions{
		ContentType:               "application/x-my-type",
		ContentMD5:                "auto",
		CacheControl:              "no-cache",
		ContentDisposition:        "attachment",
		ContentEncoding:           "identity",
		Expires:                   "Sun, 22 Nov 2026 18:00:00 GMT",
		StorageClass:              osscallback.StorageClassIA,
		ACL:                       osscallback.ObjectACLPrivate,
		Tagging:                   map[string]string{"a b": "ü&"},
		Metadata:                  map[string]string{"owner": "me", "second": "too"},
		ServerSideEncryption:      osscallback.ServerSideEncryptionKMS,
		ServerSideEncryptionKeyID: "key-1",
		ServerSideDataEncryption:  osscallback.ServerSideDataEncryptionSM4,
		TrafficLimit:              819200,
		ForbidOverwrite:           true,
		Headers:                   map[string]string{"x-oss-further": "1"},
		Timeout:                   20 * time.Second,
	}
	callback := callbackTo(t, "/echo", nil)
	reply := must(client.PutObjectWithCallback(ctx, bucket, key, hello, callback, opts))(t)
	sent := must(url.ParseQuery(echoOf(t, reply).Body))(t)
	equal(t, "media type", sent.Get("mimeType"), "application/x-my-type")
	_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, opts)
	equal(t, "second upload", failure(t, err).Code, "FileAlreadyExists")
	headers := headOf(t, key)
	equal(t, "metadata", headers.Get("x-oss-meta-owner")+headers.Get("x-oss-meta-second"), "metoo")
	equal(t, "Cache-Control", headers.Get("Cache-Control"), "no-cache")
}

// headOf asks the emulator for an object's headers, by a request that the package's signer signs.
func headOf(t *testing.T, key string) http.Header {
	t.Helper()
	signer := must(osscallback.NewSigner(at(t, "OSS_ACCESS_KEY_ID"),
		osscallback.Secret(at(t, "OSS_ACCESS_KEY_SECRET")),
		&osscallback.SignerOptions{Region: at(t, "OSS_REGION")}))(t)
	defer signer.Close()
	signed := must(signer.Presign(osscallback.SignRequest{Method: "HEAD", Bucket: bucket, Key: key}, time.Hour,
		&osscallback.PresignOptions{Endpoint: at(t, "OSS_ENDPOINT")}))(t)
	response := must(http.Head(signed.URL))(t)
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	equal(t, "status of HEAD", response.StatusCode, 200)
	return response.Header
}

func TestDamagedDataIsAnIntegrityError(t *testing.T) {
	client := clientOf(t, "FAULTY_ENDPOINT")
	_, err := client.PutObjectWithCallback(ctx, bucket, "wrong-crc/a", hello, anywhere(t), nil)
	if !errors.Is(err, osscallback.ErrIntegrity) || !failure(t, err).Retryable() {
		t.Error(err)
	}
}

func TestRefusedConnectionIsANetworkError(t *testing.T) {
	client := clientOf(t, "DEAD_ENDPOINT")
	_, err := client.PutObjectWithCallback(ctx, bucket, "secret-name", hello, anywhere(t), nil)
	if !errors.Is(err, osscallback.ErrNetwork) {
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
	if took := time.Since(begun); took < 250*time.Millisecond || took > 1500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, osscallback.ErrTimeout) {
		t.Error(err)
	}
	equal(t, "os.IsTimeout", os.IsTimeout(err), true)
}

func TestCancelEndsTheCallPromptly(t *testing.T) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	put := func(ctx context.Context, key string) error {
		_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil)
		return err
	}
	reason := errors.New("the user left")
	cancelled, cancel := context.WithCancelCause(ctx)
	time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
	begun := time.Now()
	err := put(cancelled, "hang/a")
	if took := time.Since(begun); took > 600*time.Millisecond {
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

func TestParallelCallsShareOneClient(t *testing.T) {
	client, callback := bedClient(t), callbackTo(t, "/delay/200", nil)
	begun := time.Now()
	var all sync.WaitGroup
	for i := 0; i < 16; i++ {
		all.Add(1)
		go func(key string) {
			defer all.Done()
			if _, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil); err != nil {
				t.Error(err)
			}
		}(fmt.Sprint(i))
	}
	all.Wait()
	if took := time.Since(begun); took > 1600*time.Millisecond {
		t.Errorf("16 calls of 0.2 s took %v", took)
	}
}

func TestHandlesAreFreed(t *testing.T) {
	before := settledHandles(t)
	client := must(osscallback.NewClient(bedOptions(t)))(t)
	callback := must(osscallback.NewCallback(at(t, "APP_URL")+"/ok", &osscallback.CallbackOptions{
		Vars: map[string]string{"a": "b"},
	}))(t)
	signer := must(osscallback.NewSigner("id", "secret", &osscallback.SignerOptions{Region: "cn-hangzhou"}))(t)
	equal(t, "client, callback and signer", osscallback.LiveHandles(), before+3)

	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	opts := &osscallback.PutOptions{Metadata: map[string]string{"a": "b"}}
	must(client.PutObjectWithCallback(bounded, bucket, "a", hello, callback, opts))(t)
	cancel()
	_, err := client.PutObjectWithCallback(bounded, bucket, "a", hello, callback, opts)
	equal(t, "cancelled", errors.Is(err, context.Canceled), true)
	_, err = client.PutObjectWithCallback(ctx, "", "a", hello, callback, opts)
	equal(t, "refused", errors.Is(err, osscallback.ErrInvalidArgument), true)
	must(callback.Preview(nil))(t)
	request := osscallback.SignRequest{Method: "GET", Bucket: bucket, Key: "a"}
	must(signer.Sign(request))(t)
	must(signer.Presign(request, time.Hour, nil))(t)
	must(signer.PolicyConditions(time.Time{}))(t)
	_, err = osscallback.NewCallback("", nil)
	equal(t, "refused", errors.Is(err, osscallback.ErrInvalidArgument), true)
	equal(t, "what the calls left", osscallback.LiveHandles(), before+3)

	client.Close()
	callback.Close()
	signer.Close()
	equal(t, "what is left", osscallback.LiveHandles(), before)
}
