package osscallback_test

// The user's functions panic and fail: no panic may cross C, whatever of the user's code it comes from.

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"
	"testing"
	"time"

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

// ofKey has a request name a key that is not built in.
func ofKey(request received, name string) received {
	request.headers = request.headers.Clone()
	request.headers.Set("x-oss-pub-key-url", base64.StdEncoding.EncodeToString(
		[]byte("https://gosspublic.alicdn.com/callback_pub_key_"+name+".pem")))
	return request
}

func TestAPanicOfFetchKeyGoesOnToTheCaller(t *testing.T) {
	request := ofKey(receive(t, "a", nil), "v7")
	for what, fetch := range map[string]func(string) ([]byte, error){
		"function": func(string) ([]byte, error) { panic("unlikely") },
		"error":    func(string) ([]byte, error) { return nil, grumpy{} },
	} {
		verifier := newVerifier(t, osscallback.VerifierOptions{FetchKey: fetch})
		equal(t, what, panicOf(func() { _, _ = request.verify(verifier) }), "unlikely")
		// The failure is remembered, and says what it was.
		_, err := request.verify(verifier)
		equal(t, what, reasonOf(t, err), osscallback.ReasonKeyUnavailable)
		has(t, what, err.Error(), "FetchKey panicked: unlikely")
		equal(t, what, panicOf(func() {
			_ = verifier.VerifySignature("POST", request.target, ofKey(request, "v8").headers, request.body)
		}), "unlikely")
	}
}

func sealedRequest(t *testing.T) received {
	t.Helper()
	return receive(t, "sealed.txt", &osscallback.CallbackOptions{
		Seal: &osscallback.SealOptions{Secret: sealSecret, ExpiresIn: time.Hour},
	})
}

func onceVerifier(t *testing.T, firstUse func(context.Context, string, time.Time) (bool, error),
) *osscallback.CallbackVerifier {
	t.Helper()
	return newVerifier(t, osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), SealSecret: []osscallback.Secret{sealSecret}, FirstUse: firstUse,
	})
}

func TestFirstUseThatCannotTellFailsTheVerificationWithItsError(t *testing.T) {
	sealed, down := sealedRequest(t), errors.New("the database is down")
	for _, answer := range []bool{false, true} {
		verifier := onceVerifier(t, func(context.Context, string, time.Time) (bool, error) { return answer, down })
		event, err := sealed.verify(verifier)
		if err != down || event != nil {
			t.Errorf("%v: %v and %v", answer, event, err)
		}
	}
	panicking := onceVerifier(t, func(context.Context, string, time.Time) (bool, error) { panic("unlikely") })
	equal(t, "a panic", panicOf(func() { _, _ = sealed.verify(panicking) }), "unlikely")
}

func TestAVerificationWithinFetchKeyLeavesTheOuterOneItsErrors(t *testing.T) {
	sealed, down := sealedRequest(t), errors.New("the database is down")
	inner := newVerifier(t, osscallback.VerifierOptions{
		TrustedKeys: bedKey(t), SealSecret: []osscallback.Secret{sealSecret},
	})
	outer := newVerifier(t, osscallback.VerifierOptions{
		SealSecret: []osscallback.Secret{sealSecret},
		FetchKey: func(string) ([]byte, error) {
			_, err := sealed.verify(inner)
			return []byte(bedKey(t)[0]), err
		},
		FirstUse: func(context.Context, string, time.Time) (bool, error) { return false, down },
	})
	if _, err := ofKey(sealed, "v7").verify(outer); err != down {
		t.Errorf("%v", err)
	}
}

// Which verification a function is asked in is told apart, also where one is within the other.
func TestErrorsOfFirstUseGoToTheVerificationThatAsked(t *testing.T) {
	sealed := sealedRequest(t)
	inner := onceVerifier(t, func(context.Context, string, time.Time) (bool, error) {
		return false, errors.New("inner")
	})
	var mu sync.Mutex
	asked := 0
	outer := onceVerifier(t, func(context.Context, string, time.Time) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if _, err := sealed.verify(inner); err == nil || err.Error() != "inner" {
			t.Errorf("inner: %v", err)
		}
		if asked%2 == 0 {
			return true, nil
		}
		return false, errors.New("outer")
	})
	var calls sync.WaitGroup
	var failed [40]error
	for i := range failed {
		calls.Add(1)
		go func(i int) {
			defer calls.Done()
			_, failed[i] = sealed.verify(outer)
		}(i)
	}
	calls.Wait()
	count := 0
	for _, err := range failed {
		if err != nil {
			equal(t, "error", err.Error(), "outer")
			count++
		}
	}
	equal(t, "failed", count, len(failed)/2)
}
