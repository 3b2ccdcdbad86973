package osscallback

import "fmt"

// Secret is text that does not show itself: printing an [Options] by whatever verb, logging it or
// turning it into JSON gives no secret away.
type Secret string

// Format prints a placeholder.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("[redacted]"))
}

// MarshalText gives a placeholder.
func (Secret) MarshalText() ([]byte, error) {
	return []byte("[redacted]"), nil
}

// Ptr returns a pointer to a value, for options whose zero value says something.
func Ptr[T any](value T) *T {
	return &value
}
