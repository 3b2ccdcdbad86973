package osscallback

// #include "receive.h"
import "C"

import (
	"strconv"
	"time"
	"unsafe"
)

// CallbackEvent is what a callback says of the upload. How far each of it can be believed depends on the
// checks that were made: see [CallbackVerifier].
//
// A text is empty both where the body does not name it and where OSS had no value for it;
// [CallbackEvent.Field] tells the two apart.
type CallbackEvent struct {
	// Name of the bucket.
	Bucket string

	// The object's key, decoded.
	Key string

	// The object's ETag, without quotes.
	ETag string

	// The object's size in bytes; of an upload in parts the whole.
	Size Number

	// The object's Content-Type.
	MIMEType string

	// The object's CRC-64.
	CRC64 Number

	// Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only.
	ContentMD5 string

	// Width of an image in pixels; empty for what is not an image.
	ImageWidth Number

	// Height of an image in pixels; empty for what is not an image.
	ImageHeight Number

	// Format of an image, such as jpg; empty for what is not an image.
	ImageFormat string

	// Address that the upload came from.
	ClientIP string

	// VPC that the upload came from; empty if it came from none.
	VPCID string

	// OSS's id of the upload request.
	RequestID string

	// Name of the upload's API, such as PutObject.
	Operation string

	// Custom variables by their names without x:. The seal is not among them.
	Variables map[string]string

	// All that stood in the body, in its order.
	Fields []Field

	// The seal; nil unless the verifier was given secrets and so has checked it.
	Seal *Seal

	// What C made of the body: to confirm it, no fact of it may be lost.
	handle *handle
}

// Field is what stood in the body of a callback.
type Field struct {
	// Name, decoded; within JSON objects and arrays a path: file.name, tags.0.
	Name string

	// The value as it stood there, decoded.
	Text string

	// What kind of value it was.
	Kind FieldKind
}

// FieldKind says what a field was in the body. Of the form type all are text.
type FieldKind int32

const (
	// Text: every value of a form, and JSON strings.
	FieldText FieldKind = C.OSSCB_FIELD_TEXT

	// A JSON number.
	FieldNumber FieldKind = C.OSSCB_FIELD_NUMBER

	// true or false in JSON.
	FieldBool FieldKind = C.OSSCB_FIELD_BOOL

	// null in JSON; the text is empty.
	FieldNull FieldKind = C.OSSCB_FIELD_NULL
)

// String returns the kind's name, such as number.
func (k FieldKind) String() string {
	return valueName(int32(k), "text", "number", "bool", "null")
}

// Number is a number in a callback body, or why there is none.
type Number struct {
	// Whether there is one.
	Kind NumberKind

	// The number, with [NumberValue]; else 0.
	Value uint64

	// What stands there instead, with [NumberInvalid]; else empty.
	Text string
}

// String returns the number in digits, or what stands in its place.
func (n Number) String() string {
	if n.Kind == NumberValue {
		return strconv.FormatUint(n.Value, 10)
	}
	return n.Text
}

// NumberKind says whether there is a number.
type NumberKind int32

const (
	// The body does not name it.
	NumberAbsent NumberKind = C.OSSCB_NUMBER_ABSENT

	// The body names it, but OSS had no value: image sizes of what is not an image.
	NumberEmpty NumberKind = C.OSSCB_NUMBER_EMPTY

	// The body has something else than a number from 0 to 2^64 - 1.
	NumberInvalid NumberKind = C.OSSCB_NUMBER_INVALID

	// There is a number.
	NumberValue NumberKind = C.OSSCB_NUMBER_VALUE
)

// Seal is what a checked seal says of itself.
type Seal struct {
	// Made for one upload: remember it until ExpiresAt, and refuse another callback with it.
	Nonce string

	// From when on the seal is refused.
	ExpiresAt time.Time
}

// ParseCallbackEvent understands a body without verifying anything: for one that was verified elsewhere.
//
// template is the callback body as it was given to OSS, with its ${…}; without it, fields go by OSS's own
// names, and all others are custom variables. The zero bodyType is a form.
//
// The error is [ErrVerification] for a body that is not of that type, does not fit the template,
// contradicts itself, or has too many fields or levels of nesting.
func ParseCallbackEvent(body []byte, bodyType BodyType, template string) (*CallbackEvent, error) {
	if bodyType == 0 {
		bodyType = BodyTypeForm
	}
	var event *C.osscb_event
	var failure *C.osscb_error
	status := C.go_parse_event(firstByte(body), C.size_t(len(body)), C.osscb_body_type(bodyType),
		text(template), &event, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	return takeEvent(event), nil
}

// Field returns the field of that name; ok is false if the body does not name it.
func (e *CallbackEvent) Field(name string) (field Field, ok bool) {
	for _, field := range e.Fields {
		if field.Name == name {
			return field, true
		}
	}
	return Field{}, false
}

// takeEvent reads C's event, and keeps it until the garbage collector finds this one forgotten.
func takeEvent(event *C.osscb_event) *CallbackEvent {
	all := C.go_event_of(event)
	out := &CallbackEvent{
		Bucket:      lent(all.bucket),
		Key:         lent(all.key),
		ETag:        lent(all.etag),
		Size:        number(all.size),
		MIMEType:    lent(all.mime_type),
		CRC64:       number(all.crc64),
		ContentMD5:  lent(all.content_md5),
		ImageWidth:  number(all.image_width),
		ImageHeight: number(all.image_height),
		ImageFormat: lent(all.image_format),
		ClientIP:    lent(all.client_ip),
		VPCID:       lent(all.vpc_id),
		RequestID:   lent(all.request_id),
		Operation:   lent(all.operation),
		Variables:   make(map[string]string, int(all.variables)),
		Fields:      make([]Field, 0, int(all.fields)),
	}
	for i := C.size_t(0); i < all.variables; i++ {
		out.Variables[lent(C.osscb_event_variable_name(event, i))] = lent(C.osscb_event_variable_value(event, i))
	}
	for i := C.size_t(0); i < all.fields; i++ {
		out.Fields = append(out.Fields, Field{
			Name: lent(C.osscb_event_field_name(event, i)),
			Text: lent(C.osscb_event_field_text(event, i)),
			Kind: FieldKind(C.osscb_event_field_kind(event, i)),
		})
	}
	if all.sealed {
		out.Seal = &Seal{Nonce: lent(all.seal_nonce), ExpiresAt: time.Unix(int64(all.seal_expires_at), 0)}
	}
	out.handle = own(unsafe.Pointer(event), func(pointer unsafe.Pointer) {
		C.osscb_event_free((*C.osscb_event)(pointer))
	})
	return out
}

func number(n C.osscb_number) Number {
	return Number{Kind: NumberKind(n.kind), Value: uint64(n.value), Text: lent(n.text)}
}

// lent copies text that a handle lends.
func lent(s C.osscb_str) string {
	return C.GoStringN(s.ptr, C.int(s.len))
}
