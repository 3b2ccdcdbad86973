package osscallback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

// Many calls of one client wait without a thread each; what they come to, and to whom, stays the same.
func TestManyCallsAtOnceEachGetTheirOwnEnd(t *testing.T) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	ended, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	for i := 0; i < 400; i++ {
		calls.Add(1)
		go func(i int) {
			defer calls.Done()
			data := bytes.Repeat([]byte{byte(i)}, i*10)
			switch i % 4 {
			case 0:
				reply, err := client.PutObjectWithCallback(ended, bucket, "json/a", data, callback, nil)
				if err != nil || reply.Text() != `{"Status":"OK"}` {
					t.Errorf("%d: %v %v", i, reply, err)
				}
			case 1:
				_, err := client.PutObjectWithCallback(ctx, bucket, "", data, callback, nil)
				if !errors.Is(err, osscallback.ErrInvalidArgument) {
					t.Errorf("%d: %v", i, err)
				}
			case 2:
				reply, err := client.PutObjectWithCallback(ctx, bucket, "binary/a", data, callback, nil)
				if err != nil || !bytes.Equal(reply.Body, []byte{0xfe, 0x00, 0xff}) {
					t.Errorf("%d: %v %v", i, reply, err)
				}
			default:
				short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
				_, err := client.PutObjectWithCallback(short, bucket, "hang/a", data, callback, nil)
				if !errors.Is(err, osscallback.ErrCancelled) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d: %v", i, err)
				}
			}
		}(i)
	}
	calls.Wait()
	cancel()
}

// Closing does not wait, and a call that has begun comes to its end all the same.
func TestCloseLetsStartedCallsEnd(t *testing.T) {
	inEveryWay(t, closeLetsStartedCallsEnd)
}

func closeLetsStartedCallsEnd(t *testing.T, among func(*osscallback.Client)) {
	client := must(osscallback.NewClient(bedOptions(t)))(t)
	among(client)
	marker := fmt.Sprintf("closing-%d", time.Now().UnixNano())
	callback := callbackTo(t, "/delay/2000", &osscallback.CallbackOptions{Vars: map[string]string{"marker": marker}})
	results := make(chan error, 20)
	for i := 0; i < 20; i++ {
		go func() {
			_, err := client.PutObjectWithCallback(ctx, bucket, "a", []byte("x"), callback, nil)
			results <- err
		}()
	}
	until(t, "the first callback", func() bool { return get(t, at(t, "APP_URL")+"/__count/"+marker) != "0" })
	client.Close()
	equal(t, "ended before Close", len(results), 0)
	ended := 0
	for i := 0; i < 20; i++ {
		if err := <-results; err == nil {
			ended++
		} else if !errors.Is(err, osscallback.ErrClosed) {
			t.Error(fmt.Errorf("%d: %w", i, err))
		}
	}
	equal(t, "some had begun, and came to their end", ended > 0, true)
}
