package osscallback_test

import (
	"os"
	"testing"
)

// The example takes its callback's URL from the environment, as a program would.
func TestMain(m *testing.M) {
	os.Setenv("CALLBACK_URL", os.Getenv("APP_URL")+"/ok")
	os.Exit(m.Run())
}
