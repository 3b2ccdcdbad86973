//go:build !osscallback_static

package osscallback

// #cgo pkg-config: oss_callback
import "C"
