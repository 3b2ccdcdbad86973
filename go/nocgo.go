//go:build !cgo

package osscallback

// All that does something is behind cgo, and the compiler would only say that names are missing.
const _ = THIS_PACKAGE_NEEDS_CGO_set_CGO_ENABLED_1_and_install_a_C_compiler
