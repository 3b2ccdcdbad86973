package osscallback_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

func ExampleClient_PutObjectWithCallback() {
	// What is not named here comes from OSS_ENDPOINT, OSS_REGION, OSS_ACCESS_KEY_ID and
	// OSS_ACCESS_KEY_SECRET.
	client, err := osscallback.NewClient(osscallback.Options{Timeout: 30 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	callback, err := osscallback.NewCallback(os.Getenv("CALLBACK_URL"), &osscallback.CallbackOptions{
		Vars: map[string]string{"order": "42"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer callback.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := client.PutObjectWithCallback(ctx, "examplebucket", "hello.txt", []byte("Hello OSS"),
		callback, &osscallback.PutOptions{Metadata: map[string]string{"owner": "me"}})
	var e *osscallback.Error
	switch {
	case err == nil:
		fmt.Println(reply.Text())
	case errors.Is(err, osscallback.ErrCallbackFailed) && errors.As(err, &e):
		log.Fatalf("stored as %s, but %s: %s", e.ETag, e.Cause, e.Hint)
	default:
		log.Fatal(err)
	}
	// Output: {"Status":"OK"}
}

func ExampleCallback_Preview() {
	callback, err := osscallback.NewCallback("https://app.example.com/oss", &osscallback.CallbackOptions{
		BodyType: osscallback.BodyTypeJSON,
		Fields:   map[string]string{"file": "${object}", "bytes": "${size}", "order": "${x:order}"},
		Vars:     map[string]string{"order": "42"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer callback.Close()
	body, err := callback.Preview(map[string]string{"object": "cat.jpg", "size": "1024"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(body)
	// Output: {"bytes":1024,"file":"cat.jpg","order":"42"}
}

func ExampleNewCallback_refused() {
	_, err := osscallback.NewCallback("https://app.example.com/oss", &osscallback.CallbackOptions{
		Body: "file=${objekt}",
	})
	var e *osscallback.Error
	if errors.As(err, &e) {
		fmt.Println(e.Kind, e.Field)
	}
	// Output: invalid_argument callback.body
}

func ExampleSigner_Sign() {
	signer, err := osscallback.NewSigner("LTAI-example", "secret", &osscallback.SignerOptions{
		Region: "cn-hangzhou",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer signer.Close()
	request, err := http.NewRequest("GET", "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/cat.jpg", nil)
	if err != nil {
		log.Fatal(err)
	}
	signed, err := signer.Sign(osscallback.SignRequest{
		Method:  request.Method,
		Bucket:  "examplebucket",
		Key:     "cat.jpg",
		Headers: request.Header,
		Time:    time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range signed.Headers {
		request.Header.Set(name, value)
	}
	fmt.Println(request.Header.Get("x-oss-date"))
	// Output: 20261122T120000Z
}

func ExampleSigner_Presign() {
	signer, err := osscallback.NewSigner("LTAI-example", "secret", &osscallback.SignerOptions{
		Region: "cn-hangzhou",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer signer.Close()
	presigned, err := signer.Presign(osscallback.SignRequest{
		Method: "GET",
		Bucket: "examplebucket",
		Key:    "cat.jpg",
		Time:   time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}, 15*time.Minute, nil)
	if err != nil {
		log.Fatal(err)
	}
	address, _, _ := strings.Cut(presigned.URL, "?")
	fmt.Println(presigned.Method, address)
	// Output: GET https://examplebucket.oss-cn-hangzhou.aliyuncs.com/cat.jpg
}

func ExampleClient_UploadFileWithCallback() {
	client, err := osscallback.NewClient(osscallback.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	callback, err := osscallback.NewCallback(os.Getenv("CALLBACK_URL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer callback.Close()

	path := os.Args[0] // Any file: here, this program.
	reply, err := client.UploadFileWithCallback(context.Background(), "examplebucket", "program",
		osscallback.FromPath(path), callback, &osscallback.UploadOptions{
			// Killed, it goes on where it was when it is started again.
			Checkpoint: path + ".checkpoint",
			Progress: func(p osscallback.Progress) error {
				fmt.Fprintf(os.Stderr, "\r%3d %%", 100*p.BytesDone/p.BytesTotal)
				return nil
			},
		})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Text())
	// Output: {"Status":"OK"}
}

func ExampleCallbackVerifier_Handler() {
	verifier, err := osscallback.NewCallbackVerifier(osscallback.VerifierOptions{
		Bucket:      []string{"examplebucket"},
		TrustedKeys: testKeys(), // Leave this out: the default is OSS's own key.
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	handler := verifier.Handler(func(_ context.Context, event *osscallback.CallbackEvent) (any, error) {
		return map[string]any{"stored": event.Key, "bytes": event.Size.Value}, nil
	}, nil)
	http.Handle("/oss/callback", handler)

	// An upload, to see what the uploader gets.
	server := httptest.NewServer(http.DefaultServeMux)
	defer server.Close()
	fmt.Println(uploadTo(server.URL + "/oss/callback"))
	// Output: {"bytes":9,"stored":"hello.txt"}
}

// testKeys is the key of the local OSS.
func testKeys() []string {
	pem, err := os.ReadFile(os.Getenv("OSS_PUBLIC_KEY_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	return []string{string(pem)}
}

func uploadTo(url string) string {
	client, err := osscallback.NewClient(osscallback.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	callback, err := osscallback.NewCallback(url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer callback.Close()
	reply, err := client.PutObjectWithCallback(
		context.Background(), "examplebucket", "hello.txt", []byte("Hello OSS"), callback, nil)
	if err != nil {
		log.Fatal(err)
	}
	return reply.Text()
}
