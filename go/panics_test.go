package osscallback_test

// Panics of the user's functions: none may cross C, whatever of the user's code it comes from.

import (
	"testing"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// grumpy is an error that cannot be asked what it says.
type grumpy struct{}

func (grumpy) Error() string { panic("unlikely") }

type grumpyReader struct{}

func (grumpyReader) Read([]byte) (int, error) { return 0, grumpy{} }

func TestAPanicOfAReadersErrorGoesOnToTheCaller(t *testing.T) {
	client, callback := bedClient(t), callbackTo(t, "/ok", nil)
	source := osscallback.FromReader(grumpyReader{})
	equal(t, "put", panicOf(func() {
		_, _ = client.PutSourceWithCallback(ctx, bucket, "a", source, callback, nil)
	}), "unlikely")
	equal(t, "upload", panicOf(func() {
		_, _ = client.UploadFileWithCallback(ctx, bucket, "a", source, callback, inParts())
	}), "unlikely")
}

func TestAPanicOfTheCredentialsProviderIsItsFailure(t *testing.T) {
	for what, provide := range map[string]func() (osscallback.Credentials, error){
		"function": func() (osscallback.Credentials, error) { panic("unlikely") },
		"error":    func() (osscallback.Credentials, error) { return osscallback.Credentials{}, grumpy{} },
	} {
		client := newClient(t, osscallback.Options{
			Endpoint: at(t, "OSS_ENDPOINT"), Region: at(t, "OSS_REGION"), CredentialsProvider: provide,
		})
		_, err := client.PutObjectWithCallback(ctx, bucket, "a", hello, anywhere(t), nil)
		e := failure(t, err)
		equal(t, what, e.Kind, osscallback.KindCredentials)
		has(t, what, e.Message, "CredentialsProvider panicked: unlikely")
	}
}
