//go:build cgo && !unix

package osscallback

// arrivals needs descriptors that the network poller takes, which this system does not have: all calls
// wait in C.
type arrivals struct{}

func (*arrivals) await(*putCall) bool {
	return false
}

func (*arrivals) free() {}
