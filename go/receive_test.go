package osscallback_test

// The scenarios of tests/scenarios.toml on the receiving side.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

const sealSecret = osscallback.Secret("a secret of more than 16 bytes")

func newVerifier(t testing.TB, options osscallback.VerifierOptions) *osscallback.CallbackVerifier {
	t.Helper()
	verifier := must(osscallback.NewCallbackVerifier(options))(t)
	t.Cleanup(func() { verifier.Close() })
	return verifier
}

// bedKey is the key of the testbed's emulator.
func bedKey(t testing.TB) []string {
	t.Helper()
	return []string{string(must(os.ReadFile(at(t, "OSS_PUBLIC_KEY_FILE")))(t))}
}

// received is a callback request as it reached the application server.
type received struct {
	method, target string
	headers        http.Header
	body           []byte
}

// receive uploads to the application server's /echo, and gives back what that received.
func receive(t testing.TB, key string, opts *osscallback.CallbackOptions) received {
	t.Helper()
	callback := callbackTo(t, "/echo?from=go", opts)
	reply := must(bedClient(t).PutObjectWithCallback(ctx, bucket, key, hello, callback, nil))(t)
	seen := echoOf(t, reply)
	out := received{seen.Method, seen.Target, http.Header{}, []byte(seen.Body)}
	for _, header := range seen.Headers {
		out.headers.Add(header[0], header[1])
	}
	return out
}

func (r received) verify(v *osscallback.CallbackVerifier) (*osscallback.CallbackEvent, error) {
	return v.Verify(r.method, r.target, r.headers, r.body)
}

func reasonOf(t testing.TB, err error) osscallback.Reason {
	t.Helper()
	e := failure(t, err)
	if !errors.Is(err, osscallback.ErrVerification) {
		t.Fatalf("not of kind verification: %v", err)
	}
	return e.Reason
}

func TestVerifyVectorsPass(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID      string
			Request struct {
				Method        string
				RequestTarget string `json:"request_target"`
				Headers       [][2]string
				BodyBase64    string `json:"body_base64"`
			}
			ServedPublicKeys []struct{ URL, PEM string } `json:"served_public_keys"`
			Expected         struct {
				Accept bool
				Reason string
			}
		}
	}
	text := must(os.ReadFile("../tests/vectors/callback_verify.json"))(t)
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]osscallback.Reason{
		"ok":                      "",
		"pub-key-url-not-allowed": osscallback.ReasonKeyURLRefused,
		"missing-pub-key-url":     osscallback.ReasonMissingKeyURL,
		"bad-authorization":       osscallback.ReasonBadAuthorization,
		"signature-mismatch":      osscallback.ReasonWrongSignature,
	}
	equal(t, "vectors", len(file.Vectors), 45)
	for _, v := range file.Vectors {
		asked := 0
		verifier := newVerifier(t, osscallback.VerifierOptions{FetchKey: func(url string) ([]byte, error) {
			asked++
			for _, key := range v.ServedPublicKeys {
				if strings.Replace(key.URL, "http:", "https:", 1) == url {
					return []byte(key.PEM), nil
				}
			}
			return nil, errors.New("404")
		}})
		headers := http.Header{}
		for _, header := range v.Request.Headers {
			headers.Add(header[0], header[1])
		}
		body := must(base64.StdEncoding.DecodeString(v.Request.BodyBase64))(t)
		want, known := reasons[v.Expected.Reason]
		if !known {
			t.Fatalf("%s: unheard-of reason %s", v.ID, v.Expected.Reason)
		}
		if v.ID == "key-url-dotdot-after-prefix" {
			// OSS's samples contradict each other; we refuse what no honest key URL holds.
			want = osscallback.ReasonKeyURLRefused
		}
		_, err := verifier.Verify(v.Request.Method, v.Request.RequestTarget, headers, body)
		got := osscallback.Reason("")
		if err != nil {
			got = reasonOf(t, err)
		}
		if got != want || (got == osscallback.ReasonKeyURLRefused && asked != 0) {
			t.Errorf("%s: %q instead of %q, keys asked for: %d", v.ID, got, want, asked)
		}
	}
}

func TestReceivedCallbackIsVerified(t *testing.T) {
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t), Bucket: []string{bucket}})
	request := receive(t, "dir/ø.txt", &osscallback.CallbackOptions{
		Vars: map[string]string{"order": "42 é", "empty": "", "bytes": "many"},
		Fields: map[string]string{
			"bucket": "${bucket}", "object": "${object}", "etag": "${etag}", "size": "${size}",
			"crc64": "${crc64}", "reqId": "${reqId}", "operation": "${operation}",
			"imageInfo.width": "${imageInfo.width}", "order": "${x:order}", "bytes": "${x:bytes}",
		},
	})
	event := must(request.verify(verifier))(t)
	equal(t, "bucket", event.Bucket, bucket)
	equal(t, "key", event.Key, "dir/ø.txt")
	equal(t, "ETag", event.ETag, "F0F18C2C66AE1DD512BDCD4366F76DA3")
	equal(t, "size", event.Size, osscallback.Number{Kind: osscallback.NumberValue, Value: 9})
	equal(t, "CRC-64", event.CRC64, osscallback.Number{Kind: osscallback.NumberValue, Value: crcOf(hello)})
	equal(t, "CRC-64 in digits", event.CRC64.String(), must(osscallback.ParseCallbackEvent(
		[]byte("crc64="+event.CRC64.String()), 0, ""))(t).CRC64.String())
	equal(t, "length of the request id", len(event.RequestID), 24)
	equal(t, "operation", event.Operation, "PutObject")
	equal(t, "width", event.ImageWidth.Kind, osscallback.NumberEmpty)
	equal(t, "height", event.ImageHeight.Kind, osscallback.NumberAbsent)
	equal(t, "order", event.Variables["order"], "42 é")
	equal(t, "bytes", event.Variables["bytes"], "many")
	field, ok := event.Field("order")
	equal(t, "field", field, osscallback.Field{Name: "order", Text: "42 é", Kind: osscallback.FieldText})
	equal(t, "field is there", ok, true)
	if _, ok := event.Field("nothing"); ok || event.Seal != nil {
		t.Errorf("there is %+v", event)
	}

	body := []byte(`{"size":"big","crc64":7,"mimeType":null,"x":true}`)
	parsed := must(osscallback.ParseCallbackEvent(body, osscallback.BodyTypeJSON, ""))(t)
	equal(t, "invalid", parsed.Size, osscallback.Number{Kind: osscallback.NumberInvalid, Text: "big"})
	equal(t, "invalid as text", parsed.Size.String(), "big")
	kinds := []string{}
	for _, field := range parsed.Fields {
		kinds = append(kinds, field.Kind.String())
	}
	if want := []string{"text", "number", "null", "bool"}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}

func TestAlteredCallbackIsRefusedWithAReason(t *testing.T) {
	verifier := newVerifier(t, osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), OfficialKeys: osscallback.Ptr(true), MaxBody: 400, Bucket: []string{bucket},
	})
	honest := receive(t, "a.txt", nil)
	must(honest.verify(verifier))(t)
	if err := verifier.VerifySignature(honest.method, honest.target, honest.headers, honest.body); err != nil {
		t.Error(err)
	}
	with := func(change func(*received)) received {
		altered := honest
		altered.headers = honest.headers.Clone()
		change(&altered)
		return altered
	}
	keyURL := base64.StdEncoding.EncodeToString([]byte("http://gosspublic.alicdn.com.evil.example/k.pem"))
	for want, request := range map[osscallback.Reason]received{
		osscallback.ReasonWrongSignature: with(func(r *received) {
			r.body = append(bytes.Clone(r.body), "&x=1"...)
			r.headers.Set("x-oss-pub-key-url", base64.StdEncoding.EncodeToString(
				[]byte("https://gosspublic.alicdn.com/callback_pub_key_v1.pem")))
		}),
		osscallback.ReasonMissingAuthorization: with(func(r *received) { r.headers.Del("authorization") }),
		osscallback.ReasonKeyURLRefused: with(func(r *received) {
			r.target = "/other"
			r.headers.Set("x-oss-pub-key-url", keyURL)
		}),
		osscallback.ReasonBodyTooLarge: with(func(r *received) { r.body = make([]byte, 401) }),
		osscallback.ReasonWrongMethod:  with(func(r *received) { r.method = "GET" }),
	} {
		_, err := request.verify(verifier)
		equal(t, "reason", reasonOf(t, err), want)
		signature := honest.headers.Get("authorization")
		if strings.Contains(err.Error(), signature) || strings.Contains(err.Error(), string(honest.body)) {
			t.Errorf("%s shows too much: %v", want, err)
		}
	}
	other := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t), Bucket: []string{"others"}})
	_, err := honest.verify(other)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonWrongBucket)
}

func TestKeyFunctionReplacesTheFetchingNeverTheRule(t *testing.T) {
	const official = "https://gosspublic.alicdn.com/callback_pub_key_v7.pem"
	request := receive(t, "a.txt", nil)
	named := func(url string) received {
		altered := request
		altered.headers = request.headers.Clone()
		altered.headers.Set("x-oss-pub-key-url", base64.StdEncoding.EncodeToString([]byte(url)))
		return altered
	}
	var asked []string
	key := bedKey(t)[0]
	verifier := newVerifier(t, osscallback.VerifierOptions{FetchKey: func(url string) ([]byte, error) {
		asked = append(asked, url)
		return []byte(key), nil
	}})
	for i := 0; i < 2; i++ {
		must(named(official).verify(verifier))(t)
	}
	_, err := named("https://evil.example/callback_pub_key_v7.pem").verify(verifier)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonKeyURLRefused)
	if want := []string{official}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %v", asked)
	}

	noWay := errors.New("no way there")
	failing := newVerifier(t, osscallback.VerifierOptions{
		FetchKey: func(string) ([]byte, error) { return nil, noWay },
	})
	_, err = named(official).verify(failing)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonKeyUnavailable)
	equal(t, "its error", errors.Is(err, noWay), true)
	has(t, "its error", err.Error(), noWay.Error())
}

func TestSealIsDemandedAndUsedOnce(t *testing.T) {
	sealed := receive(t, "sealed.txt", &osscallback.CallbackOptions{
		Vars: map[string]string{"order": "42"},
		Seal: &osscallback.SealOptions{Secret: sealSecret, ExpiresIn: time.Hour},
	})
	options := osscallback.VerifierOptions{
		TrustedKeys: bedKey(t),
		SealSecret:  []osscallback.Secret{"the next year's other secret", sealSecret},
	}
	event := must(sealed.verify(newVerifier(t, options)))(t)
	if event.Seal == nil || event.Seal.Nonce == "" || time.Until(event.Seal.ExpiresAt) > time.Hour {
		t.Errorf("seal %+v", event.Seal)
	}
	equal(t, "variables", len(event.Variables), 1)
	_, err := receive(t, "sealed.txt", nil).verify(newVerifier(t, options))
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonSealMissing)
	_, err = newVerifier(t, options).VerifyAt(
		sealed.method, sealed.target, sealed.headers, sealed.body, time.Now().Add(2*time.Hour))
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonSealExpired)
	var asked atomic.Int32
	options.FirstUse = func(_ context.Context, nonce string, expiresAt time.Time) (bool, error) {
		if nonce != event.Seal.Nonce || !expiresAt.Equal(event.Seal.ExpiresAt) {
			t.Errorf("asked of %q until %v", nonce, expiresAt)
		}
		return asked.Add(1) == 1, nil
	}
	once := newVerifier(t, options)
	must(sealed.verify(once))(t)
	_, err = sealed.verify(once)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonReplayed)
	options.FirstUse, options.SealSecret = nil, options.SealSecret[:1]
	_, err = sealed.verify(newVerifier(t, options))
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonSealWrong)

	// For presigned URLs, the callback of one upload.
	callback := callbackToURL(t, "http://app.example.com/cb", &osscallback.CallbackOptions{
		Seal: &osscallback.SealOptions{Secret: sealSecret, ExpiresIn: time.Hour},
	})
	forOne := must(callback.SealedFor(bucket, "a", time.Time{}))(t)
	defer forOne.Close()
	equal(t, "to be sealed", callback.IsToBeSealed(), true)
	equal(t, "to be sealed again", forOne.IsToBeSealed() || anywhere(t).IsToBeSealed(), false)
	if callback.VarsJSON() != "" || !strings.Contains(forOne.VarsJSON(), `"x:seal"`) {
		t.Errorf("%q, %q", callback.VarsJSON(), forOne.VarsJSON())
	}
	_, err = osscallback.NewCallback("http://app.example.com/cb", &osscallback.CallbackOptions{
		Seal: &osscallback.SealOptions{Secret: "short", ExpiresIn: time.Hour},
	})
	if e := failure(t, err); e.Kind != osscallback.KindInvalidArgument || strings.Contains(err.Error(), "short") {
		t.Errorf("%v", err)
	}
}

func TestConfirmAsksOss(t *testing.T) {
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t)})
	event := must(receive(t, "confirmed.txt", nil).verify(verifier))(t)
	client := bedClient(t)
	said := must(client.Confirm(ctx, event))(t)
	equal(t, "ETag", said.ETag, "F0F18C2C66AE1DD512BDCD4366F76DA3")
	equal(t, "size", *said.Size, 9)
	equal(t, "CRC-64", *said.CRC64, crcOf(hello))
	equal(t, "type", said.ContentType, "text/plain")
	equal(t, "length of the request id", len(said.RequestID), 24)
	if since := time.Since(said.LastModified); since > time.Hour || since < -time.Hour {
		t.Errorf("stored at %v", said.LastModified)
	}
	callback := callbackTo(t, "/ok", nil)
	must(client.PutObjectWithCallback(ctx, bucket, "confirmed.txt", []byte("another"), callback, nil))(t)
	_, err := client.Confirm(ctx, event)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonObjectDiffers)
	gone := must(osscallback.ParseCallbackEvent(
		[]byte("bucket="+bucket+"&object=never&size=1"), osscallback.BodyTypeForm, ""))(t)
	_, err = client.Confirm(ctx, gone)
	equal(t, "reason", reasonOf(t, err), osscallback.ReasonObjectMissing)
	ended, end := context.WithCancel(ctx)
	end()
	if _, err = client.Confirm(ended, event); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAnswerIsCheckedBeforeItIsSent(t *testing.T) {
	answer := must(osscallback.NewAnswer([]byte(`{"Status":"OK"}`)))(t)
	equal(t, "status", answer.Status, 200)
	equal(t, "body", string(answer.Body), `{"Status":"OK"}`)
	want := map[string]string{"Content-Type": "application/json", "Content-Length": "15"}
	if !reflect.DeepEqual(answer.Headers, want) {
		t.Errorf("%v", answer.Headers)
	}
	for text, ec := range map[string]string{
		"OK":                             "0007-00000205",
		"\ufeff{}":                       "0007-00000205",
		`"` + strings.Repeat("a", 2<<20): "0007-00000204",
	} {
		_, err := osscallback.NewAnswer([]byte(text))
		if e := failure(t, err); e.Kind != osscallback.KindInvalidArgument || e.EC != ec {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	_, err := osscallback.NewAnswer(nil)
	equal(t, "field", failure(t, err).Field, "answer")
	for status, fixed := range map[int]*osscallback.Answer{
		403: osscallback.Refusal(), 500: osscallback.Failure(),
	} {
		equal(t, "status", fixed.Status, status)
		equal(t, "length", fixed.Headers["Content-Length"], strconv.Itoa(len(fixed.Body)))
	}
}

func TestHostileCallbacksAreRefusedWithoutHarm(t *testing.T) {
	verifier := newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t)})
	for _, target := range []string{"", "no path", "/\x00", "/%zz", "\xff", strings.Repeat("/a", 1<<16)} {
		for _, value := range []string{"", "\x00", "\xff\xfe", strings.Repeat("A", 1<<16)} {
			headers := map[string][]string{"Authorization": {value}, "\xff": {value}, "": {""}}
			_, err := verifier.Verify("POST", target, headers, []byte(value))
			reasonOf(t, err)
		}
	}
	for _, body := range []string{
		strings.Repeat("[", 1<<20), strings.Repeat("a=b&", 1<<20), "\xff\x00=\xff", "{\"a\":\"\x00\"}", "{}",
	} {
		for _, bodyType := range []osscallback.BodyType{osscallback.BodyTypeForm, osscallback.BodyTypeJSON} {
			event, err := osscallback.ParseCallbackEvent([]byte(body), bodyType, "")
			if (event == nil) == (err == nil) {
				t.Errorf("%.10q: %v and %v", body, event, err)
			}
			if err != nil {
				equal(t, "reason", reasonOf(t, err), osscallback.ReasonMalformedBody)
			}
		}
	}
	// A NUL cuts nothing off.
	event := must(osscallback.ParseCallbackEvent(
		[]byte("object="+url.QueryEscape("a\x00b")), osscallback.BodyTypeForm, ""))(t)
	equal(t, "key", event.Key, "a\x00b")
}
