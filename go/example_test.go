package osscallback_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
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
