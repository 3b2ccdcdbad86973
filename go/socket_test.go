//go:build linux

package osscallback_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

func openDescriptors(t *testing.T) int {
	t.Helper()
	return len(must(os.ReadDir("/proc/self/fd"))(t))
}

// The network poller has a copy of each connection's descriptor, which must go with the connection.
func TestDescriptorsGoWithTheirConnections(t *testing.T) {
	callback := anywhere(t)
	options := bedOptions(t)
	options.Endpoint = at(t, "FAULTY_ENDPOINT")
	before := openDescriptors(t)
	for round := 0; round < 5; round++ {
		client := must(osscallback.NewClient(options))(t)
		var calls sync.WaitGroup
		for i := 0; i < 20; i++ {
			calls.Add(1)
			go func() {
				defer calls.Done()
				for _, key := range []string{"json/a", "reset/a", "json/a"} {
					_, err := client.PutObjectWithCallback(ctx, bucket, key, hello, callback, nil)
					if (err != nil) != (key == "reset/a") {
						t.Errorf("%s: %v", key, err)
					}
				}
			}()
		}
		calls.Wait()
		client.Close()
	}
	until(t, fmt.Sprintf("%d open descriptors again", before), func() bool { return openDescriptors(t) <= before })
}

// A context that ends just when its call does wakes nobody else, and a connection whose last call was
// woken serves the next.
func TestAContextThatEndsWithItsCallDisturbsNoOther(t *testing.T) {
	inEveryWay(t, func(t *testing.T, among func(*osscallback.Client)) {
		client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
		among(client)
		for i := 0; i < 300; i++ {
			short, cancel := context.WithTimeout(ctx, time.Duration(i)*10*time.Microsecond)
			_, err := client.PutObjectWithCallback(short, bucket, "json/a", hello, callback, nil)
			if err != nil && !errors.Is(err, osscallback.ErrCancelled) {
				t.Fatalf("%d: %v", i, err)
			}
			if _, err := client.PutObjectWithCallback(ctx, bucket, "json/a", hello, callback, nil); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			cancel()
		}
	})
}

// The other tests believe Among.
func TestACallWaitsWhereTheNumberOfCallsHasItWait(t *testing.T) {
	for where, others := range map[string]int64{
		"(*putCall).wait(": osscallback.Alone, "(*putCall).step(": osscallback.Stepped,
		"(*arrivals).await(": osscallback.Started,
	} {
		client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
		restore := osscallback.Among(client, others)
		bounded, cancel := context.WithCancel(ctx)
		ended := make(chan error)
		go func() {
			_, err := client.PutObjectWithCallback(bounded, bucket, "hang/a", hello, callback, nil)
			ended <- err
		}()
		until(t, where, func() bool {
			stacks := make([]byte, 1<<20)
			return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), where)
		})
		cancel()
		equal(t, where, errors.Is(<-ended, osscallback.ErrCancelled), true)
		restore()
	}
}

// A call that waits for its answer keeps no thread: hundreds of threads would be seen.
func TestWaitingKeepsNoThread(t *testing.T) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	threads := func() int { return len(must(os.ReadDir("/proc/self/task"))(t)) }
	bounded, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	before := threads()
	for i := 0; i < 300; i++ {
		calls.Add(1)
		go func() {
			defer calls.Done()
			_, err := client.PutObjectWithCallback(bounded, bucket, "hang/a", hello, callback, nil)
			if !errors.Is(err, osscallback.ErrCancelled) {
				t.Error(err)
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	if during := threads(); during > before+60 {
		t.Errorf("%d threads before, %d while 300 calls wait", before, during)
	}
	began := time.Now()
	cancel()
	calls.Wait()
	if took := time.Since(began); took > hang/2 {
		t.Errorf("to cancel 300 calls took %v", took)
	}
}

// However large the data, only so many calls have descriptors of their own.
func TestManyLargeCallsKeepFewDescriptors(t *testing.T) {
	client, callback := clientOf(t, "FAULTY_ENDPOINT"), anywhere(t)
	large := make([]byte, 300<<10)
	bounded, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	before := openDescriptors(t)
	for i := 0; i < 300; i++ {
		calls.Add(1)
		go func() {
			defer calls.Done()
			if _, err := client.PutObjectWithCallback(bounded, bucket, "hang/a", large, callback, nil); err == nil {
				t.Error("a call that hangs has ended well")
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	// Five for each of 64, and one for each of the others.
	if during := openDescriptors(t); during > before+64*5+300 {
		t.Errorf("%d descriptors before, %d while 300 calls wait", before, during)
	}
	cancel()
	calls.Wait()
}
