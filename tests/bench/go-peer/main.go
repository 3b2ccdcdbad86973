// The driver for the official Go client: `driver go-oss_v2 WORKLOAD name=value...`.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	"github.com/oss-callback/oss-callback/tests/bench/go/measure"
)

func encoded(json string) *string {
	return oss.Ptr(base64.StdEncoding.EncodeToString([]byte(json)))
}

func main() {
	given := measure.Read()
	callback := encoded(`{"callbackUrl":"http://app.example.com/oss/cb","callbackBody":"bucket=${bucket}&` +
		`object=${object}&u=${x:uid}","callbackBodyType":"application/x-www-form-urlencoded"}`)
	vars := encoded(`{"x:uid":"12345"}`)
	endpoint := given.Text["endpoint"]
	if endpoint == "" {
		endpoint = "https://oss-cn-hangzhou.aliyuncs.com"
	}
	provider := credentials.NewStaticCredentialsProvider(
		"LTAI5tExampleKeyId0001", "ExampleSecretKey/for+tests=0001")
	config := oss.LoadDefaultConfig().WithCredentialsProvider(provider).WithRegion("cn-hangzhou").
		WithEndpoint(endpoint).WithUsePathStyle(true).WithInsecureSkipVerify(given.Text["ca"] != "")
	if given.Workload == "put" {
		// As many connections as there are ways; its own client keeps fewer.
		transport := &http.Transport{MaxIdleConnsPerHost: 64, MaxIdleConns: 64, DisableCompression: true}
		config = config.WithHttpClient(&http.Client{Transport: transport, Timeout: time.Minute})
	}
	client := oss.NewClient(config)
	ctx := context.Background()
	data := make([]byte, int(given.Number("size", 4096)))
	request := func(key string) *oss.PutObjectRequest {
		return &oss.PutObjectRequest{
			Bucket: oss.Ptr("examplebucket"), Key: oss.Ptr(key), Callback: callback, CallbackVar: vars,
		}
	}
	put := func(key string) error {
		asked := request(key)
		asked.Body = bytes.NewReader(data)
		_, err := client.PutObject(ctx, asked)
		return err
	}
	warm := func() error { return put("w") }
	switch given.Workload {
	case "put":
		given.Puts(len(data), put)
	case "put-file":
		given.File(warm, func(path string) error {
			_, err := client.PutObjectFromFile(ctx, request("k"), path)
			return err
		})
	case "multipart":
		given.File(warm, func(path string) error {
			uploader := client.NewUploader(func(options *oss.UploaderOptions) {
				options.PartSize = int64(given.Number("part", 8<<20))
				options.ParallelNum = int(given.Number("ways", 4))
			})
			_, err := uploader.UploadFile(ctx, request("k"), path)
			return err
		})
	case "presign":
		given.Repeated(func() error {
			_, err := client.Presign(ctx, request("exampledir/exampleobject.txt"))
			return err
		})
	default:
		measure.Check(fmt.Errorf("there is no workload %s", given.Workload))
	}
}
