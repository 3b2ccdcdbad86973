package osscallback

import "time"

// LiveHandles is for the tests, which cannot call C themselves.
var LiveHandles = liveHandles

// SetBodyTime has handlers wait for a body for so long, until the function that it returns is called.
func SetBodyTime(d time.Duration) (restore func()) {
	before := bodyTime
	bodyTime = d
	return func() { bodyTime = before }
}
