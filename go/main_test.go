package osscallback_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run starts the testbed that OSS_CALLBACK_TESTBED names, and passes its addresses on to the tests; it
// ends with this process, however that ends. Without the variable only those tests pass that need no
// server.
func run(m *testing.M) int {
	if program := os.Getenv("OSS_CALLBACK_TESTBED"); program != "" {
		stop, err := startTestbed(program)
		if err != nil {
			fmt.Fprintf(os.Stderr, "testbed: %v\n", err)
			return 1
		}
		defer stop()
	}
	// The example takes its callback's URL from the environment, as a program would.
	os.Setenv("CALLBACK_URL", os.Getenv("APP_URL")+"/ok")
	return m.Run()
}

func startTestbed(program string) (stop func(), err error) {
	testbed := exec.Command(program)
	testbed.Stderr = os.Stderr
	stdin, err := testbed.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := testbed.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := testbed.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		// It stays until its standard input closes.
		stdin.Close()
		_ = testbed.Wait()
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "READY" {
			return stop, nil
		}
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			os.Setenv(name, value)
		}
	}
	stop()
	return nil, fmt.Errorf("%s ended before it was ready", program)
}
