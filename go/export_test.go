package osscallback

// LiveHandles is for the tests, which cannot call C themselves.
var LiveHandles = liveHandles
