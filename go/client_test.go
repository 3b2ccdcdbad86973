package osscallback_test

// What is Go's own: Close, finalizers, goroutines, contexts, secrets.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

var _ = []io.Closer{(*osscallback.Client)(nil), (*osscallback.Callback)(nil), (*osscallback.Signer)(nil)}

// settledHandles is the count of live handles once the garbage collector has freed what tests dropped.
func settledHandles(t testing.TB) uint64 {
	t.Helper()
	count := osscallback.LiveHandles()
	for calm := 0; calm < 3; {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
		if now := osscallback.LiveHandles(); now != count {
			count, calm = now, 0
			continue
		}
		calm++
	}
	return count
}

func TestCloseDuringCallsLetsThemFinish(t *testing.T) {
	before := settledHandles(t)
	client := must(osscallback.NewClient(bedOptions(t)))(t)
	marker := fmt.Sprintf("closing-%d", time.Now().UnixNano())
	callback := must(osscallback.NewCallback(at(t, "APP_URL")+"/delay/2000", &osscallback.CallbackOptions{
		Vars: map[string]string{"marker": marker},
	}))(t)
	var started, ended sync.WaitGroup
	var succeeded atomic.Int32
	for i := 0; i < 8; i++ {
		started.Add(1)
		ended.Add(1)
		go func(key string) {
			defer ended.Done()
			started.Done()
			_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil)
			if err == nil {
				succeeded.Add(1)
			} else if !errors.Is(err, osscallback.ErrClosed) {
				t.Error(err)
			}
		}(fmt.Sprint(i))
	}
	started.Wait()
	until(t, "the first callback", func() bool { return get(t, at(t, "APP_URL")+"/__count/"+marker) != "0" })
	begun := time.Now()
	for i := 0; i < 2; i++ {
		equal(t, "Close of the callback", callback.Close(), nil)
		equal(t, "Close of the client", client.Close(), nil)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("Close waited %v", took)
	}
	equal(t, "handles in use by calls", osscallback.LiveHandles() > before, true)
	ended.Wait()
	equal(t, "some had begun, and came to their end", succeeded.Load() > 0, true)
	equal(t, "handles after the calls", osscallback.LiveHandles(), before)
}

func TestUseAfterCloseIsAnErrorOfItsOwn(t *testing.T) {
	client, callback := bedClient(t), anywhere(t)
	signer := must(osscallback.NewSigner("id", "secret", &osscallback.SignerOptions{Region: "cn-hangzhou"}))(t)
	signer.Close()
	_, err := signer.Sign(osscallback.SignRequest{Method: "GET"})
	check := func(field string, err error) {
		t.Helper()
		if !errors.Is(err, osscallback.ErrClosed) || !errors.Is(err, osscallback.ErrInvalidArgument) {
			t.Error(err)
		}
		equal(t, "field", failure(t, err).Field, field)
	}
	check("signer", err)
	verifier := must(osscallback.NewCallbackVerifier(osscallback.VerifierOptions{}))(t)
	verifier.Close()
	_, err = verifier.Verify("POST", "/", nil, nil)
	check("verifier", err)
	encoded := callback.Encoded()
	callback.Close()
	equal(t, "what was read from the callback", callback.Encoded(), encoded)
	_, err = callback.Preview(nil)
	check("callback", err)
	_, err = client.PutObjectWithCallback(ctx, bucket, "a", nil, callback, nil)
	check("callback", err)
	client.Close()
	_, err = client.PutObjectWithCallback(ctx, bucket, "a", nil, anywhere(t), nil)
	check("client", err)
}

func TestNilAndZeroValuesAreErrorsAndNotCrashes(t *testing.T) {
	client, callback := bedClient(t), anywhere(t)
	var noContext context.Context
	for field, put := range map[string]func() error{
		"client": func() error {
			_, err := (*osscallback.Client)(nil).PutObjectWithCallback(ctx, bucket, "a", nil, callback, nil)
			return err
		},
		"callback": func() error {
			_, err := client.PutObjectWithCallback(ctx, bucket, "a", nil, nil, nil)
			return err
		},
		"ctx": func() error {
			_, err := client.PutObjectWithCallback(noContext, bucket, "a", nil, callback, nil)
			return err
		},
	} {
		equal(t, field, failure(t, put()).Field, field)
	}
	_, err := new(osscallback.Client).PutObjectWithCallback(ctx, bucket, "a", nil, callback, nil)
	equal(t, "zero client", failure(t, err).Field, "client")
	_, err = client.PutObjectWithCallback(ctx, bucket, "a", nil, new(osscallback.Callback), nil)
	equal(t, "zero callback", failure(t, err).Field, "callback")
	_, err = new(osscallback.Signer).Sign(osscallback.SignRequest{})
	equal(t, "zero signer", failure(t, err).Field, "signer")
	for _, closer := range []io.Closer{
		(*osscallback.Client)(nil), (*osscallback.Callback)(nil), (*osscallback.Signer)(nil),
		new(osscallback.Client), new(osscallback.Callback), new(osscallback.Signer),
	} {
		equal(t, "Close", closer.Close(), nil)
	}
}

func TestACopySharesWhatItOwns(t *testing.T) {
	before := settledHandles(t)
	client := must(osscallback.NewClient(bedOptions(t)))(t)
	second := *client
	second.Close()
	client.Close()
	_, err := client.PutObjectWithCallback(ctx, bucket, "a", nil, anywhere(t), nil)
	equal(t, "closed", errors.Is(err, osscallback.ErrClosed), true)
	equal(t, "handles but for the callback", osscallback.LiveHandles(), before+1)
}

func TestWhatIsDroppedWithoutCloseIsFreed(t *testing.T) {
	before := settledHandles(t)
	func() {
		for i := 0; i < 10; i++ {
			must(osscallback.NewClient(bedOptions(t)))(t)
			must(osscallback.NewCallback("http://app.example.com/cb", nil))(t)
			must(osscallback.NewSigner("id", "secret", &osscallback.SignerOptions{Region: "cn-hangzhou"}))(t)
		}
	}()
	equal(t, "handles", settledHandles(t), before)
}

func TestNoGoroutineStaysBehind(t *testing.T) {
	inEveryWay(t, noGoroutineStaysBehind)
}

func noGoroutineStaysBehind(t *testing.T, among func(*osscallback.Client)) {
	client, callback := bedClient(t), callbackTo(t, "/ok", nil)
	hanging := clientOf(t, "FAULTY_ENDPOINT")
	among(client)
	among(hanging)
	before := runtime.NumGoroutine()
	long, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for i := 0; i < 20; i++ {
		must(client.PutObjectWithCallback(long, bucket, "a", hello, callback, nil))(t)
		// A context of another make, for which the standard library needs a goroutine.
		must(client.PutObjectWithCallback(foreign{long}, bucket, "a", hello, callback, nil))(t)
		short, stop := context.WithTimeout(long, 5*time.Millisecond)
		_, err := hanging.PutObjectWithCallback(short, bucket, "hang/a", hello, callback, nil)
		stop()
		equal(t, "ended by its context", errors.Is(err, context.DeadlineExceeded), true)
	}
	until(t, fmt.Sprintf("%d goroutines again", before), func() bool { return runtime.NumGoroutine() <= before })
}

type foreign struct{ context.Context }

func (foreign) Value(any) any { return nil }

func TestAContextThatIsOverSendsNothing(t *testing.T) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	begun := time.Now()
	client := clientOf(t, "FAULTY_ENDPOINT")
	_, err := client.PutObjectWithCallback(over, bucket, "hang/a", hello, anywhere(t), nil)
	if !errors.Is(err, context.Canceled) || time.Since(begun) > hang/10 {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	equal(t, "stored", failure(t, err).Stored, false)
}

func TestManyCallsWaitAtOnce(t *testing.T) {
	const calls = 256
	client, callback := bedClient(t), callbackTo(t, "/delay/1000", nil)
	begun := time.Now()
	failures := make(chan error, calls)
	for i := 0; i < calls; i++ {
		go func(key string) {
			_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil)
			failures <- err
		}(fmt.Sprint(i))
	}
	for i := 0; i < calls; i++ {
		if err := <-failures; err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begun); took > calls*time.Second/8 {
		t.Errorf("%d calls of 1 s took %v", calls, took)
	}
}

// amongPointers are these bytes, within a struct whose other fields point into Go's memory.
func amongPointers(data []byte) []byte {
	holder := &struct {
		before *string
		data   [4096]byte
		after  *string
	}{before: osscallback.Ptr("a pointer"), after: osscallback.Ptr("another")}
	return holder.data[:copy(holder.data[:], data)]
}

func TestDataWithinAStructWithPointersIsTaken(t *testing.T) {
	inEveryWay(t, func(t *testing.T, among func(*osscallback.Client)) {
		client, callback := bedClient(t), callbackTo(t, "/ok", nil)
		among(client)
		reply := must(client.PutObjectWithCallback(ctx, bucket, "a", amongPointers(hello), callback, nil))(t)
		equal(t, "CRC-64", *reply.CRC64, crcOf(hello))
	})
	source := osscallback.FromBytes(amongPointers(hello))
	reply := must(bedClient(t).PutSourceWithCallback(ctx, bucket, "a", source, callbackTo(t, "/ok", nil), nil))(t)
	equal(t, "CRC-64", *reply.CRC64, crcOf(hello))
}

func TestReceivedBytesWithinAStructWithPointersAreTaken(t *testing.T) {
	must(osscallback.NewAnswer(amongPointers([]byte("{}"))))(t)
	must(osscallback.ParseCallbackEvent(amongPointers([]byte("object=a")), osscallback.BodyTypeForm, ""))(t)
	request := receive(t, "a", nil)
	request.body = amongPointers(request.body)
	must(request.verify(newVerifier(t, osscallback.VerifierOptions{TrustedKeys: bedKey(t)})))(t)
	key := amongPointers([]byte(bedKey(t)[0]))
	fetching := newVerifier(t, osscallback.VerifierOptions{FetchKey: func(string) ([]byte, error) { return key, nil }})
	must(ofKey(request, "v7").verify(fetching))(t)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	options := osscallback.Options{AccessKeySecret: "s3cret", SecurityToken: "t0ken"}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", options, options, options, options.AccessKeySecret,
		options.AccessKeySecret, options.SecurityToken)
	shown += string(must(json.Marshal(options))(t))
	for _, secret := range []string{"s3cret", "t0ken", fmt.Sprintf("%x", "t0ken")} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is in %s", secret, shown)
		}
	}
	equal(t, "placeholder", fmt.Sprint(options.AccessKeySecret), "[redacted]")
}

func TestOptionsThatAreOnByDefaultCanBeTurnedOff(t *testing.T) {
	for want, sni := range map[string]*bool{
		`{"callbackSNI":true}`: nil,
		`{"callbackSNI":null}`: osscallback.Ptr(false),
	} {
		callback := callbackToURL(t, "https://app.example.com/cb", &osscallback.CallbackOptions{SNI: sni})
		got := must(json.Marshal(map[string]any{"callbackSNI": decoded(t, callback.JSON())["callbackSNI"]}))(t)
		equal(t, "SNI", string(got), want)
	}
}

func TestACallbackShowsWhatItSends(t *testing.T) {
	callback := callbackToURL(t, "http://app.example.com/cb", &osscallback.CallbackOptions{
		Body: "a=b",
		Vars: map[string]string{"unused": "1"},
	})
	equal(t, "URL", decoded(t, callback.JSON())["callbackUrl"].(string), "http://app.example.com/cb")
	equal(t, "variable", decoded(t, callback.VarsJSON())["x:unused"].(string), "1")
	if warnings := callback.Warnings(); len(warnings) != 1 || !strings.Contains(warnings[0], "unused") {
		t.Errorf("%q", warnings)
	}
	plain := anywhere(t)
	equal(t, "no variables", plain.EncodedVars()+plain.VarsJSON(), "")
	equal(t, "no warnings", len(plain.Warnings()), 0)
}

func TestKindsAndValuesHaveNames(t *testing.T) {
	equal(t, "kind", osscallback.KindCallbackFailed.String(), "callback_failed")
	equal(t, "unknown kind", osscallback.Kind(12345).String(), "other")
	equal(t, "sentinel", osscallback.ErrTimeout.Error(), "osscallback: timeout")
	equal(t, "value", osscallback.ObjectACLPublicReadWrite.String(), "public-read-write")
	equal(t, "no value", osscallback.Network(0).String(), "")
	equal(t, "unknown value", osscallback.Network(77).String(), "77")
	equal(t, "version", strings.Count(osscallback.Version(), "."), 2)
	client := bedClient(t)
	equal(t, "endpoint", client.Endpoint(), at(t, "OSS_ENDPOINT"))
	equal(t, "region", client.Region(), at(t, "OSS_REGION"))
}
