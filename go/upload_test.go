package osscallback_test

// The scenarios of tests/scenarios.toml about sources, uploads in parts, retries and credentials.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

const mib = 1 << 20

// pattern is data of which no two parts are alike.
func pattern(n int) []byte {
	data := make([]byte, n)
	state := uint32(n) | 1
	for i := range data {
		state = state*1664525 + 1013904223
		data[i] = byte(state >> 24)
	}
	return data
}

func fileOf(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sizeTold has the application server echo the size and CRC-64 that it is told.
func sizeTold(t testing.TB) *osscallback.Callback {
	t.Helper()
	return callbackTo(t, "/echo", &osscallback.CallbackOptions{Body: "size=${size}&crc64=${crc64}"})
}

func isWhole(t testing.TB, what string, reply *osscallback.CallbackReply, data []byte) {
	t.Helper()
	equal(t, what, echoOf(t, reply).Body, fmt.Sprintf("size=%d&crc64=%d", len(data), crcOf(data)))
	equal(t, what, *reply.CRC64, crcOf(data))
}

// get fetches text of the testbed.
func get(t testing.TB, url string) string {
	t.Helper()
	answer := must(http.Get(url))(t)
	defer answer.Body.Close()
	return string(must(io.ReadAll(answer.Body))(t))
}

func inParts() *osscallback.UploadOptions {
	return &osscallback.UploadOptions{Threshold: osscallback.Ptr(uint64(mib)), PartSize: mib}
}

func TestSourcesOfEveryKindArriveWhole(t *testing.T) {
	client, callback, data := bedClient(t), sizeTold(t), pattern(2*mib+7)
	path := fileOf(t, data)
	file := must(os.Open(path))(t)
	defer file.Close()
	for name, source := range map[string]func() osscallback.Source{
		"path":             func() osscallback.Source { return osscallback.FromPath(path) },
		"file":             func() osscallback.Source { return osscallback.FromFile(file) },
		"bytes":            func() osscallback.Source { return osscallback.FromBytes(data) },
		"reader of a file": func() osscallback.Source { return osscallback.FromReader(file) },
		"reader of known length": func() osscallback.Source {
			return osscallback.FromReader(bytes.NewReader(data))
		},
		"reader of promised length": func() osscallback.Source {
			return osscallback.FromReaderOfLength(iotest.HalfReader(bytes.NewReader(data)), int64(len(data)))
		},
		"reader of unknown length": func() osscallback.Source {
			return osscallback.FromReader(iotest.DataErrReader(bytes.NewReader(data)))
		},
		"reader with a length of something else": func() osscallback.Source {
			return osscallback.FromReader(lines{bytes.NewReader(data)})
		},
		"pipe": func() osscallback.Source {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = write.Write(data)
				write.Close()
			}()
			t.Cleanup(func() { read.Close() })
			return osscallback.FromReader(read)
		},
	} {
		reply := must(client.PutSourceWithCallback(ctx, bucket, "put/"+name, source(), callback, nil))(t)
		isWhole(t, "put "+name, reply, data)
		reply = must(client.UploadFileWithCallback(ctx, bucket, "up/"+name, source(), callback, inParts()))(t)
		isWhole(t, "upload "+name, reply, data)
	}
	// What was read of an open file is not sent.
	must(file.Seek(mib, io.SeekStart))(t)
	reply := must(client.PutSourceWithCallback(ctx, bucket, "a", osscallback.FromFile(file), callback, nil))(t)
	isWhole(t, "rest of a file", reply, data[mib:])
	reply = must(client.PutSourceWithCallback(ctx, bucket, "a", osscallback.FromBytes(nil), callback, nil))(t)
	isWhole(t, "nothing", reply, nil)

	_, err := client.UploadFileWithCallback(
		ctx, bucket, "a", osscallback.FromPath("/no/such/file"), callback, nil)
	if !errors.Is(err, osscallback.ErrSource) || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("%v", err)
	}
	for what, source := range map[string]osscallback.Source{
		"zero value": {}, "nil file": osscallback.FromFile(nil), "nil reader": osscallback.FromReader(nil),
		"length": osscallback.FromReaderOfLength(strings.NewReader(""), -7),
	} {
		_, err := client.PutSourceWithCallback(ctx, bucket, "a", source, callback, nil)
		equal(t, what, failure(t, err).Kind, osscallback.KindInvalidArgument)
	}
}

func TestLargeFileGoesInPartsWithOneCallback(t *testing.T) {
	client, data := bedClient(t), pattern(3*mib)
	marker := fmt.Sprintf("parts-%d", time.Now().UnixNano())
	callback := callbackTo(t, "/ok", &osscallback.CallbackOptions{Vars: map[string]string{"marker": marker}})
	path := osscallback.FromPath(fileOf(t, data))
	reply := must(client.UploadFileWithCallback(ctx, bucket, "large", path, callback, inParts()))(t)
	equal(t, "reply", reply.Text(), `{"Status":"OK"}`)
	equal(t, "CRC-64", *reply.CRC64, crcOf(data))
	if !strings.HasSuffix(reply.ETag, "-3") {
		t.Errorf("ETag %s", reply.ETag)
	}
	equal(t, "callbacks", get(t, at(t, "APP_URL")+"/__count/"+marker), "1")
	reply = must(client.UploadFileWithCallback(ctx, bucket, "large", path, callback, nil))(t)
	if strings.Contains(reply.ETag, "-") {
		t.Errorf("ETag %s", reply.ETag)
	}
	_, err := client.UploadFileWithCallback(
		ctx, bucket, "large", path, callback, &osscallback.UploadOptions{PartSize: 5})
	equal(t, "field", failure(t, err).Field, "part_size")
}

func TestProgressIsTold(t *testing.T) {
	client, callback, data := bedClient(t), sizeTold(t), pattern(3*mib)
	var told []osscallback.Progress
	options := inParts()
	options.Progress = func(progress osscallback.Progress) error {
		told = append(told, progress)
		return nil
	}
	must(client.UploadFileWithCallback(ctx, bucket, "a", osscallback.FromBytes(data), callback, options))(t)
	last := told[len(told)-1]
	equal(t, "last", last, osscallback.Progress{3 * mib, 3 * mib, 3, 3})
	for i := 1; i < len(told); i++ {
		if told[i].BytesDone < told[i-1].BytesDone {
			t.Errorf("%v fell to %v", told[i-1], told[i])
		}
	}
	told = nil
	stream := osscallback.FromReader(iotest.HalfReader(bytes.NewReader(data)))
	must(client.UploadFileWithCallback(ctx, bucket, "a", stream, callback, options))(t)
	equal(t, "total of a stream", told[0].BytesTotal, -1)

	mine := errors.New("enough")
	options.Progress = func(progress osscallback.Progress) error { return mine }
	_, err := client.UploadFileWithCallback(ctx, bucket, "a", osscallback.FromBytes(data), callback, options)
	if !errors.Is(err, mine) || !errors.Is(err, osscallback.ErrCancelled) {
		t.Errorf("%v", err)
	}
	options.Progress = func(progress osscallback.Progress) error { panic("unlikely") }
	equal(t, "a panic", panicOf(func() {
		_, _ = client.UploadFileWithCallback(ctx, bucket, "a", osscallback.FromBytes(data), callback, options)
	}), "unlikely")
}

// cancelled begins an upload of ten parts, and ends it when some are there.
func cancelled(t *testing.T, key string, source osscallback.Source, options osscallback.UploadOptions) {
	t.Helper()
	ending, end := context.WithCancel(ctx)
	defer end()
	options.Progress = func(progress osscallback.Progress) error {
		if progress.PartsDone >= 3 {
			end()
		}
		return nil
	}
	_, err := bedClient(t).UploadFileWithCallback(ending, bucket, key, source, sizeTold(t), &options)
	if !errors.Is(err, osscallback.ErrCancelled) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

func TestCancelledUploadResumesFromItsCheckpoint(t *testing.T) {
	data := pattern(10 * mib)
	source := osscallback.FromPath(fileOf(t, data))
	checkpoint := filepath.Join(t.TempDir(), "upload.checkpoint")
	options := osscallback.UploadOptions{
		Threshold: osscallback.Ptr(uint64(mib)), PartSize: mib, Parallel: 1, Checkpoint: checkpoint,
	}
	cancelled(t, "resumed", source, options)
	if _, err := os.Stat(checkpoint); err != nil {
		t.Fatal(err)
	}
	first := int64(-1)
	options.Progress = func(progress osscallback.Progress) error {
		if first < 0 {
			first = progress.BytesDone
		}
		return nil
	}
	client, callback := bedClient(t), sizeTold(t)
	reply := must(client.UploadFileWithCallback(ctx, bucket, "resumed", source, callback, &options))(t)
	isWhole(t, "resumed", reply, data)
	if first < 3*mib {
		t.Errorf("began at %d", first)
	}
	if _, err := os.Stat(checkpoint); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(checkpoint, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := client.UploadFileWithCallback(ctx, bucket, "resumed", source, callback, &options)
	if err == nil || !strings.Contains(err.Error(), checkpoint) {
		t.Errorf("%v", err)
	}
}

func TestCancelledUploadLeavesNoParts(t *testing.T) {
	const own = "cancelled-in-go"
	source := osscallback.FromBytes(pattern(10 * mib))
	ending, end := context.WithCancel(ctx)
	defer end()
	options := inParts()
	options.Parallel = 1
	options.Progress = func(progress osscallback.Progress) error {
		if progress.PartsDone >= 3 {
			if listed := get(t, at(t, "CONTROL_URL")+"/uploads?bucket="+own); !strings.Contains(listed, "big") {
				t.Errorf("under way, but listed is %s", listed)
			}
			end()
		}
		return nil
	}
	_, err := bedClient(t).UploadFileWithCallback(ending, own, "big", source, sizeTold(t), options)
	equal(t, "kind", failure(t, err).Kind, osscallback.KindCancelled)
	equal(t, "uploads", strings.TrimSpace(get(t, at(t, "CONTROL_URL")+"/uploads?bucket="+own)), "[]")
}

func TestBusyServiceIsRetried(t *testing.T) {
	name := fmt.Sprintf("busy/2/go-%d", time.Now().UnixNano())
	callback := anywhere(t)
	must(clientOf(t, "FAULTY_ENDPOINT").PutObjectWithCallback(ctx, bucket, name, hello, callback, nil))(t)
	options := bedOptions(t)
	options.Endpoint = at(t, "FAULTY_ENDPOINT")
	options.Retries = osscallback.Ptr(uint64(0))
	_, err := newClient(t, options).PutObjectWithCallback(ctx, bucket, name+"-again", hello, callback, nil)
	e := failure(t, err)
	equal(t, "kind", e.Kind, osscallback.KindService)
	equal(t, "status", e.Status, 503)
}

func TestLostAnswerIsOutcomeUnknown(t *testing.T) {
	client := clientOf(t, "FAULTY_ENDPOINT")
	_, err := client.PutObjectWithCallback(ctx, bucket, "lost/go", hello, anywhere(t), nil)
	e := failure(t, err)
	equal(t, "kind", e.Kind, osscallback.KindOutcomeUnknown)
	if !e.Stored || e.ETag == "" {
		t.Errorf("%+v", e)
	}
}

func TestCredentialsFunctionIsAsked(t *testing.T) {
	handles := settledHandles(t)
	var mu sync.Mutex
	asked, expiresIn, fails := 0, time.Hour, error(nil)
	options := osscallback.Options{
		Endpoint: at(t, "OSS_ENDPOINT"), Region: at(t, "OSS_REGION"),
		CredentialsProvider: func() (osscallback.Credentials, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return osscallback.Credentials{
				AccessKeyID:     at(t, "STS_ACCESS_KEY_ID"),
				AccessKeySecret: osscallback.Secret(at(t, "STS_ACCESS_KEY_SECRET")),
				SecurityToken:   osscallback.Secret(at(t, "STS_TOKEN")),
				ExpiresAt:       time.Now().Add(expiresIn),
			}, fails
		},
	}
	callback := callbackTo(t, "/ok", nil)
	upload := func(client *osscallback.Client) error {
		_, err := client.PutObjectWithCallback(ctx, bucket, "a", hello, callback, nil)
		return err
	}
	client := must(osscallback.NewClient(options))(t)
	for i := 0; i < 3; i++ {
		if err := upload(client); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "asked", asked, 1)
	client.Close()
	expiresIn = 2 * time.Second
	client = must(osscallback.NewClient(options))(t)
	for i := 0; i < 2; i++ {
		if err := upload(client); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2100 * time.Millisecond)
	}
	equal(t, "asked again", asked, 3)
	client.Close()
	fails = errors.New("the vault is closed")
	client = must(osscallback.NewClient(options))(t)
	err := upload(client)
	equal(t, "kind", failure(t, err).Kind, osscallback.KindCredentials)
	if !errors.Is(err, fails) || !strings.Contains(err.Error(), fails.Error()) {
		t.Errorf("%v", err)
	}
	client.Close()
	callback.Close()
	equal(t, "handles", settledHandles(t), handles)
}
