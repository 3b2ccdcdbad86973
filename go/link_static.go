//go:build osscallback_static

package osscallback

// The library itself comes by CGO_LDFLAGS; these are what it needs of the system.

// #cgo linux LDFLAGS: -lpthread -ldl -lm
// #cgo darwin LDFLAGS: -framework CoreFoundation -framework Security -framework SystemConfiguration
// #cgo windows LDFLAGS: -lws2_32 -luserenv -lntdll -lbcrypt -lcrypt32 -lsecur32
import "C"
