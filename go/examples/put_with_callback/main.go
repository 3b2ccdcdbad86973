// Uploads an object and prints what the application server answered. The README shows this file.
//
// `oss-callback serve` prints an environment to try it with; CALLBACK_URL is your application server's.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	osscallback "github.com/oss-callback/oss-callback/go"
)

func main() {
	// Endpoint, region and credentials come from the environment unless they are given here.
	client, err := osscallback.NewClient(osscallback.Options{})
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

	data := []byte("Hello OSS")
	reply, err := client.PutObjectWithCallback(
		context.Background(), "examplebucket", "hello.txt", data, callback, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Text())
}
