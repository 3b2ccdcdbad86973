package osscallback

// LiveHandles is for the tests, which cannot call C themselves.
var LiveHandles = liveHandles

// Where a call of few bytes waits goes by how many others its client has under way.
const (
	Alone   = 0
	Stepped = 1
	Started = mostStepped
)

// Among has the client believe that so many other calls are under way, until the function that it returns
// is called.
func Among(client *Client, others int64) (restore func()) {
	client.calls.Add(others)
	return func() { client.calls.Add(-others) }
}
