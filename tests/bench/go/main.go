// The driver for Go: `driver go WORKLOAD name=value...` prints one line of JSON.
package main

import (
	"context"
	"fmt"
	"os"

	osscallback "github.com/oss-callback/oss-callback/go"
	"github.com/oss-callback/oss-callback/tests/bench/go/measure"
)

const (
	bucket = "examplebucket"
	keyID  = "LTAI5tExampleKeyId0001"
	secret = "ExampleSecretKey/for+tests=0001"
)

func main() {
	given := measure.Read()
	callback, err := osscallback.NewCallback("http://app.example.com/oss/cb", &osscallback.CallbackOptions{
		Vars: map[string]string{"uid": "12345"},
	})
	measure.Check(err)
	if given.Workload == "sign-v4" || given.Workload == "presign" {
		sign(given, callback)
		return
	}
	options := osscallback.Options{
		Endpoint: given.Text["endpoint"], Region: "cn-hangzhou", Proxy: "none",
		AccessKeyID: keyID, AccessKeySecret: secret,
	}
	if ca, found := given.Text["ca"]; found {
		pem, err := os.ReadFile(ca)
		measure.Check(err)
		options.CACertificates = string(pem)
	}
	client, err := osscallback.NewClient(options)
	measure.Check(err)
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if given.Workload == "put" {
		data := make([]byte, int(given.Number("size", 4096)))
		given.Puts(len(data), func(key string) error {
			_, err := client.PutObjectWithCallback(ctx, bucket, key, data, callback, nil)
			return err
		})
		return
	}
	warm := func() error {
		_, err := client.PutObjectWithCallback(ctx, bucket, "warm", []byte("x"), callback, nil)
		return err
	}
	given.File(warm, func(path string) error {
		switch source := osscallback.FromPath(path); given.Workload {
		case "put-file":
			_, err = client.PutSourceWithCallback(ctx, bucket, "k", source, callback, nil)
		case "multipart":
			_, err = client.UploadFileWithCallback(ctx, bucket, "k", source, callback, &osscallback.UploadOptions{
				Threshold: osscallback.Ptr(uint64(0)),
				PartSize:  uint64(given.Number("part", 8<<20)),
				Parallel:  uint64(given.Number("ways", 4)),
			})
		default:
			err = fmt.Errorf("there is no workload %s", given.Workload)
		}
		return err
	})
}

func sign(given *measure.Given, callback *osscallback.Callback) {
	signer, err := osscallback.NewSigner(keyID, secret, &osscallback.SignerOptions{Region: "cn-hangzhou"})
	measure.Check(err)
	defer signer.Close()
	request := osscallback.SignRequest{
		Method: "PUT", Bucket: bucket, Key: "exampledir/exampleobject.txt",
		Headers: map[string][]string{"content-type": {"text/plain"}, "x-oss-callback": {callback.Encoded()}},
	}
	given.Repeated(func() error {
		_, err := signer.Sign(request)
		return err
	})
}
