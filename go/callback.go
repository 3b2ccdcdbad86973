package osscallback

// #include "bridge.h"
import "C"

import (
	"time"
	"unsafe"
)

// Callback is what OSS shall tell the application server once the object is stored: checked and encoded.
// It never changes; any number of uploads may share one.
type Callback struct {
	handle      *handle
	encoded     string
	encodedVars string
	json        string
	varsJSON    string
	warnings    []string
	toBeSealed  bool
}

// NewCallback checks a callback and encodes it.
//
// url is where OSS sends the callback; up to five, joined by ";", are tried one after the other. It is
// empty with the option Policy. opts may be nil: the body then carries bucket, object, etag, size and
// mimeType.
//
// The error is [ErrInvalidArgument] for whatever OSS would refuse, or what would silently misbehave; it
// has the field and, where OSS has one, the EC.
func NewCallback(url string, opts *CallbackOptions) (*Callback, error) {
	var set *C.osscb_callback_options
	if opts != nil {
		set = opts.handOver()
		defer C.osscb_callback_options_free(set)
		if seal := opts.Seal; seal != nil {
			C.osscb_callback_options_set_seal(set, text(string(seal.Secret)), wholeSeconds(seal.ExpiresIn))
		}
	}
	var made *C.osscb_callback
	var failure *C.osscb_error
	if status := C.osscb_callback_new(text(url), set, &made, &failure); status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	return takeCallback(made), nil
}

// SealOptions are what the seal of an upload is made of. The seal travels as the variable x:seal, which
// the default body and one built from fields carry by themselves; a body that is written out must hold
// ${x:seal}, ${bucket}, ${object} and every variable. See [VerifierOptions.SealSecret].
type SealOptions struct {
	// What your application server knows too: at least 16 bytes.
	Secret Secret

	// From the upload's start, or the signing of a URL or form, to the arrival of the callback: 1 second
	// to 365 days, in whole seconds.
	ExpiresIn time.Duration
}

// SealedFor returns the callback for one upload, with a new seal among its variables: for presigned URLs
// and forms, whose signature fixes bucket and key. Uploads do this by themselves. Without
// [CallbackOptions.Seal] it is a callback like this one. The seal's expiry counts from at; the zero time
// is now.
func (c *Callback) SealedFor(bucket, key string, at time.Time) (*Callback, error) {
	if c == nil {
		return nil, isNil("callback")
	}
	pointer, err := c.handle.acquire("callback")
	if err != nil {
		return nil, err
	}
	defer c.handle.release()
	var made *C.osscb_callback
	var failure *C.osscb_error
	status := C.osscb_callback_sealed_for(
		(*C.osscb_callback)(pointer), text(bucket), text(key), unixSeconds(at), &made, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	return takeCallback(made), nil
}

func takeCallback(made *C.osscb_callback) *Callback {
	callback := &Callback{
		encoded:     C.GoString(C.osscb_callback_encoded(made)),
		encodedVars: C.GoString(C.osscb_callback_encoded_vars(made)),
		json:        C.GoString(C.osscb_callback_json(made)),
		varsJSON:    C.GoString(C.osscb_callback_vars_json(made)),
		toBeSealed:  bool(C.osscb_callback_is_to_be_sealed(made)),
	}
	for i, count := C.size_t(0), C.osscb_callback_warning_count(made); i < count; i++ {
		callback.warnings = append(callback.warnings, C.GoString(C.osscb_callback_warning(made, i)))
	}
	callback.handle = own(unsafe.Pointer(made), func(pointer unsafe.Pointer) {
		C.osscb_callback_free((*C.osscb_callback)(pointer))
	})
	return callback
}

// Encoded returns the value of the header x-oss-callback: Base64 of [Callback.JSON].
func (c *Callback) Encoded() string {
	return c.encoded
}

// EncodedVars returns the value of the header x-oss-callback-var: Base64 of [Callback.VarsJSON]. It is
// empty without variables.
func (c *Callback) EncodedVars() string {
	return c.encodedVars
}

// JSON returns the callback as OSS reads it.
func (c *Callback) JSON() string {
	return c.json
}

// VarsJSON returns the variables as OSS reads them; it is empty without variables.
func (c *Callback) VarsJSON() string {
	return c.varsJSON
}

// Warnings returns what is legal but seldom meant, such as a variable that the body never uses.
func (c *Callback) Warnings() []string {
	return append([]string(nil), c.warnings...)
}

// IsToBeSealed reports whether each upload gets a seal; not so of a callback that is sealed already.
func (c *Callback) IsToBeSealed() bool {
	return c.toBeSealed
}

// Preview returns the exact body that OSS would send for an upload with these values.
//
// values are those of system variables, such as bucket, object, etag, size and mimeType, by name. What is
// left out is as OSS has it for an empty upload.
func (c *Callback) Preview(values map[string]string) (string, error) {
	if c == nil {
		return "", isNil("callback")
	}
	pointer, err := c.handle.acquire("callback")
	if err != nil {
		return "", err
	}
	defer c.handle.release()
	var packed texts
	for _, name := range sortedNames(values) {
		packed.add(name)
		packed.add(values[name])
	}
	var body C.osscb_string
	var failure *C.osscb_error
	status := C.go_preview((*C.osscb_callback)(pointer), packed.start(), packed.lengths(),
		C.size_t(len(values)), &body, &failure)
	if status != C.OSSCB_STATUS_OK {
		return "", takeError(status, failure)
	}
	defer C.osscb_string_free(&body)
	return string(unsafe.Slice((*byte)(unsafe.Pointer(body.ptr)), int(body.len))), nil
}

// Close frees the callback. Uploads under way are not disturbed; later ones fail with [ErrClosed].
// Closing again does nothing. The error is always nil: it is there for [io.Closer].
func (c *Callback) Close() error {
	if c != nil {
		c.handle.close()
	}
	return nil
}
