package osscallback

// #include "bridge.h"
import "C"

import (
	"time"
	"unsafe"
)

// Signer signs requests and POST policies for those who send them by other means. It never changes; any
// number of goroutines may use one.
type Signer struct {
	handle *handle
}

// SignerOptions are the options of a [Signer]. The zero value of a field means its default.
type SignerOptions struct {
	// STS token, for temporary credentials.
	//
	// Default: none.
	SecurityToken Secret

	// Region, such as cn-hangzhou. Signature V4 needs it; it also gives the endpoint of signed URLs when
	// none is named.
	//
	// Default: none.
	Region string

	// V4: product, such as oss-cloudbox.
	//
	// Default: oss.
	Product string

	// How requests are signed.
	//
	// Default: [SignatureVersionV4].
	Version SignatureVersion
}

// SignRequest is what is to be signed.
type SignRequest struct {
	// GET, PUT, …
	Method string

	// Bucket; empty for a request to the service.
	Bucket string

	// Object key, as it is, not encoded; empty for a request to the bucket.
	Key string

	// Parameters, decoded.
	Query []Param

	// Headers that will be sent: an http.Header fits.
	Headers map[string][]string

	// V4: names of further headers to sign, beside those that always are.
	AdditionalHeaders []string

	// When the request is signed; the zero time is now.
	Time time.Time
}

// Param is a parameter of a query.
type Param struct {
	Name  string
	Value string

	// Makes a name without "=".
	NoValue bool
}

// Signed is a signature by headers.
type Signed struct {
	// Headers to add to the request, Authorization among them.
	Headers map[string]string

	// The signature itself.
	Signature string

	// The canonical request, to compare with another signer's; empty by V1.
	CanonicalRequest string

	// What the signature is computed over.
	StringToSign string
}

// PresignOptions are the options of a signed URL. The zero value of a field means its default.
type PresignOptions struct {
	// Endpoint, such as https://oss-cn-hangzhou.aliyuncs.com.
	//
	// Default: the region's.
	Endpoint string

	// Where the bucket's name goes.
	//
	// Default: [AddressingAuto].
	Addressing Addressing
}

// PresignedRequest is a signed URL. Whoever holds it can make the request until it expires.
type PresignedRequest struct {
	// The method that was signed.
	Method string

	// The URL.
	URL string

	// Headers that must be sent unchanged.
	Headers map[string]string

	// The signature itself.
	Signature string

	// The canonical request, to compare with another signer's; empty by V1.
	CanonicalRequest string

	// What the signature is computed over.
	StringToSign string
}

// NewSigner checks credentials and options and makes a signer. opts may be nil; but signature V4, the
// default, needs a region.
func NewSigner(accessKeyID string, accessKeySecret Secret, opts *SignerOptions) (*Signer, error) {
	set := C.osscb_signer_options_new()
	defer C.osscb_signer_options_free(set)
	if opts != nil {
		opts.handOver(set)
	}
	var made *C.osscb_signer
	var failure *C.osscb_error
	status := C.osscb_signer_new(text(accessKeyID), text(string(accessKeySecret)), set, &made, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	signer := &Signer{}
	signer.handle = own(unsafe.Pointer(made), func(pointer unsafe.Pointer) {
		C.osscb_signer_free((*C.osscb_signer)(pointer))
	})
	return signer, nil
}

func (o *SignerOptions) handOver(set *C.osscb_signer_options) {
	if o.SecurityToken != "" {
		C.osscb_signer_options_set_security_token(set, text(string(o.SecurityToken)))
	}
	if o.Region != "" {
		C.osscb_signer_options_set_region(set, text(o.Region))
	}
	if o.Product != "" {
		C.osscb_signer_options_set_product(set, text(o.Product))
	}
	if o.Version != 0 {
		C.osscb_signer_options_set_version(set, C.osscb_signature_version(o.Version))
	}
}

// Sign signs by headers: send those of the result beside those of the request.
func (s *Signer) Sign(request SignRequest) (*Signed, error) {
	signer, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.handle.release()
	packed, headers := request.pack()
	var made *C.osscb_signed
	var failure *C.osscb_error
	status := C.go_sign(signer, packed.start(), packed.lengths(), C.size_t(len(request.Query)), headers,
		C.size_t(len(request.AdditionalHeaders)), unixSeconds(request.Time), &made, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	defer C.osscb_signed_free(made)
	return &Signed{
		Headers:          pairMap(C.osscb_signed_headers(made)),
		Signature:        C.GoString(C.osscb_signed_signature(made)),
		CanonicalRequest: C.GoString(C.osscb_signed_canonical_request(made)),
		StringToSign:     C.GoString(C.osscb_signed_string_to_sign(made)),
	}, nil
}

// Presign signs by URL, to hold for expiresIn from the request's time: at least a second, and by V4 at
// most 7 days. Parts of a second are dropped. opts may be nil.
func (s *Signer) Presign(
	request SignRequest, expiresIn time.Duration, opts *PresignOptions,
) (*PresignedRequest, error) {
	signer, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.handle.release()
	var options PresignOptions
	if opts != nil {
		options = *opts
	}
	if options.Addressing == 0 {
		options.Addressing = AddressingAuto
	}
	packed, headers := request.pack()
	var made *C.osscb_presigned
	var failure *C.osscb_error
	status := C.go_presign(signer, packed.start(), packed.lengths(), C.size_t(len(request.Query)), headers,
		C.size_t(len(request.AdditionalHeaders)), text(options.Endpoint),
		C.osscb_addressing(options.Addressing), wholeSeconds(expiresIn),
		unixSeconds(request.Time), &made, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	defer C.osscb_presigned_free(made)
	return &PresignedRequest{
		Method:           C.GoString(C.osscb_presigned_method(made)),
		URL:              C.GoString(C.osscb_presigned_url(made)),
		Headers:          pairMap(C.osscb_presigned_headers(made)),
		Signature:        C.GoString(C.osscb_presigned_signature(made)),
		CanonicalRequest: C.GoString(C.osscb_presigned_canonical_request(made)),
		StringToSign:     C.GoString(C.osscb_presigned_string_to_sign(made)),
	}, nil
}

// SignPolicy returns the form fields that a signed POST policy adds to a form; they must stand before the
// field file. policyJSON must hold the [Signer.PolicyConditions] of the same time. The zero time is now.
func (s *Signer) SignPolicy(policyJSON string, at time.Time) (map[string]string, error) {
	signer, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.handle.release()
	var fields *C.osscb_pairs
	var failure *C.osscb_error
	status := C.osscb_signer_sign_policy(signer, text(policyJSON), unixSeconds(at), &fields, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	defer C.osscb_pairs_free(fields)
	return pairMap(fields), nil
}

// PolicyConditions returns the conditions that a POST policy must hold to be signed at that time, by
// name. The zero time is now; give the same to [Signer.SignPolicy].
func (s *Signer) PolicyConditions(at time.Time) (map[string]string, error) {
	signer, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.handle.release()
	var conditions *C.osscb_pairs
	var failure *C.osscb_error
	status := C.osscb_signer_policy_conditions(signer, unixSeconds(at), &conditions, &failure)
	if status != C.OSSCB_STATUS_OK {
		return nil, takeError(status, failure)
	}
	defer C.osscb_pairs_free(conditions)
	return pairMap(conditions), nil
}

// Close frees the signer; using it later fails with [ErrClosed]. Closing again does nothing. The error is
// always nil: it is there for [io.Closer].
func (s *Signer) Close() error {
	if s != nil {
		s.handle.close()
	}
	return nil
}

func (s *Signer) acquire() (*C.osscb_signer, error) {
	if s == nil {
		return nil, isNil("signer")
	}
	pointer, err := s.handle.acquire("signer")
	return (*C.osscb_signer)(pointer), err
}

// pack lays the texts out as bridge.h takes them, and counts the headers.
func (r *SignRequest) pack() (packed *texts, headers C.size_t) {
	packed = &texts{}
	packed.add(r.Method)
	packed.addOptional(r.Bucket)
	packed.addOptional(r.Key)
	for _, param := range r.Query {
		packed.add(param.Name)
		if param.NoValue {
			packed.addNone()
		} else {
			packed.add(param.Value)
		}
	}
	for _, name := range sortedNames(r.Headers) {
		for _, value := range r.Headers[name] {
			packed.add(name)
			packed.add(value)
			headers++
		}
	}
	for _, name := range r.AdditionalHeaders {
		packed.add(name)
	}
	return packed, headers
}
