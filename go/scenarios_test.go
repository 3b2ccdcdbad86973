package osscallback_test

// The scenarios of tests/scenarios.toml in which uploads succeed; the others are in failures_test.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
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

func TestCallbackInTheQueryWorksTheSame(t *testing.T) {
	opts := &osscallback.PutOptions{CallbackIn: osscallback.CallbackPlacementQuery}
	vars := &osscallback.CallbackOptions{Vars: map[string]string{"a": "b+/="}}
	client := bedClient(t)
	reply := must(client.PutObjectWithCallback(ctx, bucket, "a", hello, callbackTo(t, "/ok", vars), opts))(t)
	equal(t, "body", reply.Text(), `{"Status":"OK"}`)
	_, err := client.PutObjectWithCallback(ctx, bucket, "a", hello, callbackTo(t, "/status/500", vars), opts)
	equal(t, "kind", failure(t, err).Kind, osscallback.KindCallbackFailed)
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
		Tagging:                   map[string]string{"a team": "x/y"},
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

func TestParallelCallsShareOneClient(t *testing.T) {
	client, callback := bedClient(t), callbackTo(t, "/delay/1000", nil)
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
	if took := time.Since(begun); took > 16*time.Second/2 {
		t.Errorf("16 calls of 1 s took %v", took)
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
