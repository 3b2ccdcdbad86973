// Package measure reads what a driver is asked to do, does it often, and prints what it took.
package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Given is what a driver was asked to do.
type Given struct {
	Who, Workload string
	Text          map[string]string
}

// Check ends the program with an error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

// Read takes the command line.
func Read() *Given {
	if len(os.Args) < 3 {
		Check(fmt.Errorf("usage: driver WHO WORKLOAD name=value..."))
	}
	given := &Given{Who: os.Args[1], Workload: os.Args[2], Text: map[string]string{}}
	for _, word := range os.Args[3:] {
		name, value, _ := strings.Cut(word, "=")
		given.Text[name] = value
	}
	return given
}

// Number gives a number, or otherwise.
func (g *Given) Number(name string, otherwise float64) float64 {
	text, found := g.Text[name]
	if !found {
		return otherwise
	}
	number, err := strconv.ParseFloat(text, 64)
	Check(err)
	return number
}

// Puts makes ways uploads at once, for a number of operations or some seconds.
func (g *Given) Puts(size int, put func(key string) error) {
	ways := int(g.Number("ways", 1))
	if warm := g.Number("warm_seconds", 0); warm > 0 {
		g.all(ways, 0, warm, put)
	} else {
		g.all(ways, 20, 0, put)
	}
	g.measured(func() (int64, int64) {
		done := g.all(ways, int64(g.Number("n", 0))/int64(ways), g.Number("seconds", 1), put)
		return done, done * int64(size)
	})
}

func (g *Given) all(ways int, limit int64, seconds float64, put func(key string) error) int64 {
	var all sync.WaitGroup
	var total atomic.Int64
	deadline := time.Now().Add(time.Duration(seconds * 1e9))
	for worker := 0; worker < ways; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			done := int64(0)
			for limit > 0 && done < limit || limit == 0 && time.Now().Before(deadline) {
				Check(put("k/" + strconv.Itoa(worker) + "-" + strconv.FormatInt(done, 10)))
				done++
			}
			total.Add(done)
		}(worker)
	}
	all.Wait()
	return total.Load()
}

// File uploads a file, after something small that opens a connection.
func (g *Given) File(warm func() error, upload func(path string) error) {
	Check(warm())
	info, err := os.Stat(g.Text["file"])
	Check(err)
	g.measured(func() (int64, int64) {
		Check(upload(g.Text["file"]))
		return 1, info.Size()
	})
}

// Repeated does a step for a number of operations or some seconds.
func (g *Given) Repeated(step func() error) {
	limit, deadline := int64(g.Number("n", 0)), time.Now().Add(time.Duration(g.Number("seconds", 1)*1e9))
	g.measured(func() (int64, int64) {
		done := int64(0)
		for limit > 0 && done < limit || limit == 0 && time.Now().Before(deadline) {
			Check(step())
			done++
		}
		return done, 0
	})
}

func (g *Given) measured(work func() (ops, bytes int64)) {
	before, start := usage(), time.Now()
	ops, bytes := work()
	seconds, after := time.Since(start).Seconds(), usage()
	fmt.Printf(`{"ops":%d,"bytes":%d,"seconds":%f,"cpu":%f,"idle_kib":%d,"peak_kib":%d}`+"\n",
		ops, bytes, seconds, cpu(after)-cpu(before), before.Maxrss, after.Maxrss)
}

func usage() (found syscall.Rusage) {
	Check(syscall.Getrusage(syscall.RUSAGE_SELF, &found))
	return found
}

func cpu(usage syscall.Rusage) float64 {
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
