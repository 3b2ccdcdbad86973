package osscallback_test

import (
	"context"
	"os"
	"testing"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// BenchmarkPut4KiB uploads to the server that OSS_CALLBACK_SINK names, which does nothing but answer; to
// the testbed's otherwise. -cpu 1,16 with -benchtime 20000x shows one connection and many.
func BenchmarkPut4KiB(b *testing.B) {
	options := bedOptions(b)
	options.Endpoint = at(b, "FAULTY_ENDPOINT")
	if sink := os.Getenv("OSS_CALLBACK_SINK"); sink != "" {
		options.Endpoint = sink
	}
	client, callback := newClient(b, options), anywhere(b)
	data := make([]byte, 4096)
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.PutObjectWithCallback(cancellable, bucket, "json/a", data, callback, nil); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRefusedCall goes the whole way into C and back with an error: what the crossings cost.
func BenchmarkRefusedCall(b *testing.B) {
	client, callback := bedClient(b), anywhere(b)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if _, err := client.PutObjectWithCallback(ctx, bucket, "", nil, callback, nil); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkSign(b *testing.B) {
	signer := must(osscallback.NewSigner("id", "secret", &osscallback.SignerOptions{Region: "cn-hangzhou"}))(b)
	defer signer.Close()
	request := osscallback.SignRequest{Method: "PUT", Bucket: bucket, Key: "a"}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		must(signer.Sign(request))(b)
	}
}
