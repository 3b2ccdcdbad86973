package osscallback_test

// The golden vectors through Go's Signer and Callback. What each status means is told in
// tests/vectors/README.md; tests/rust/tests/all has the same vectors with the reasons for each exception.

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	osscallback "github.com/oss-callback/oss-callback/go"
)

type vector struct {
	ID               string
	Case             string
	Status           string
	Region           string
	Product          string
	SignatureVersion string `json:"signature_version"`
	PolicyText       string `json:"policy_text"`
	ExpiresSeconds   int64  `json:"expires_seconds"`
	Time             struct{ Unix int64 }
	Credentials      struct {
		AccessKeyID     string             `json:"access_key_id"`
		AccessKeySecret osscallback.Secret `json:"access_key_secret"`
		SecurityToken   osscallback.Secret `json:"security_token"`
		SigningKeyHex   string             `json:"signing_key_hex"`
	}
	Request struct {
		Method            string
		Scheme            string
		Endpoint          string
		Addressing        string
		Bucket            string
		Key               string
		Query             [][2]*string
		Headers           [][2]string
		AdditionalHeaders []string `json:"additional_headers"`
	}
	Expected struct {
		StringToSign       string `json:"string_to_sign"`
		Signature          string
		CanonicalRequest   string `json:"canonical_request"`
		Authorization      string
		SignerAddedHeaders [][2]string  `json:"signer_added_headers"`
		QueryPairsDecoded  [][2]*string `json:"query_pairs_decoded"`
		URL                string
		FormFields         map[string]string `json:"form_fields"`

		CallbackJSON    map[string]any `json:"callback_json"`
		CallbackVarJSON map[string]any `json:"callback_var_json"`
		Valid           bool
		EC              string
	}
	SDKInput            map[string]any `json:"sdk_input"`
	CallbackJSONText    *string        `json:"callback_json_text"`
	CallbackVarJSONText *string        `json:"callback_var_json_text"`
}

func vectors(t *testing.T, family string) []vector {
	t.Helper()
	var file struct {
		Count   int
		Vectors []vector
	}
	content := must(os.ReadFile(filepath.Join("..", "tests", "vectors", family+".json")))(t)
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	equal(t, family, len(file.Vectors), file.Count)
	return file.Vectors
}

func (v *vector) isTrap() bool {
	return v.Status == "disputed"
}

func (v *vector) repeatsHeaders() bool {
	return strings.HasPrefix(v.Case, "rep-")
}

func (v *vector) signer(t *testing.T, version osscallback.SignatureVersion) *osscallback.Signer {
	t.Helper()
	opts := &osscallback.SignerOptions{SecurityToken: v.Credentials.SecurityToken, Version: version}
	if version == osscallback.SignatureVersionV4 {
		opts.Region, opts.Product = v.Region, v.Product
	}
	signer, err := osscallback.NewSigner(v.Credentials.AccessKeyID, v.Credentials.AccessKeySecret, opts)
	if err != nil {
		t.Fatalf("%s: %v", v.ID, err)
	}
	t.Cleanup(func() { signer.Close() })
	return signer
}

func (v *vector) request() osscallback.SignRequest {
	request := osscallback.SignRequest{
		Method:            v.Request.Method,
		Bucket:            v.Request.Bucket,
		Key:               v.Request.Key,
		Headers:           map[string][]string{},
		AdditionalHeaders: v.Request.AdditionalHeaders,
		Time:              time.Unix(v.Time.Unix, 0),
	}
	for _, pair := range v.Request.Query {
		param := osscallback.Param{Name: *pair[0], NoValue: pair[1] == nil}
		if pair[1] != nil {
			param.Value = *pair[1]
		}
		request.Query = append(request.Query, param)
	}
	for _, header := range v.Request.Headers {
		request.Headers[header[0]] = append(request.Headers[header[0]], header[1])
	}
	return request
}

func (v *vector) same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %s\n     got %v\n    want %v", v.ID, what, got, want)
	}
}

// stages holds what both ways of signing show.
func (v *vector) stages(t *testing.T, canonicalRequest, stringToSign, signature string) {
	t.Helper()
	if v.isTrap() {
		if signature == v.Expected.Signature {
			t.Errorf("%s: falls into the trap", v.ID)
		}
		return
	}
	if v.Expected.CanonicalRequest != "" {
		v.same(t, "canonical request", canonicalRequest, v.Expected.CanonicalRequest)
	}
	v.same(t, "string to sign", stringToSign, v.Expected.StringToSign)
	v.same(t, "signature", signature, v.Expected.Signature)
}

func (v *vector) checkHeaders(t *testing.T, version osscallback.SignatureVersion) {
	signed, err := v.signer(t, version).Sign(v.request())
	if v.repeatsHeaders() {
		v.same(t, "field", failure(t, err).Field, "headers")
		return
	}
	if err != nil {
		t.Errorf("%s: %v", v.ID, err)
		return
	}
	v.stages(t, signed.CanonicalRequest, signed.StringToSign, signed.Signature)
	if v.isTrap() {
		return
	}
	if version == osscallback.SignatureVersionV4 {
		v.same(t, "Authorization", fields(signed.Headers["Authorization"]), fields(v.Expected.Authorization))
	} else {
		v.same(t, "Authorization", signed.Headers["Authorization"], v.Expected.Authorization)
	}
	got, want := map[string]string{}, map[string]string{}
	for name, value := range signed.Headers {
		got[strings.ToLower(name)] = value
	}
	delete(got, "authorization")
	for _, header := range v.Expected.SignerAddedHeaders {
		want[strings.ToLower(header[0])] = header[1]
	}
	v.same(t, "added headers", got, want)
}

// fields takes V4's Authorization apart: SDKs separate and order the fields differently.
func fields(authorization string) map[string]string {
	out := map[string]string{}
	algorithm, rest, _ := strings.Cut(authorization, " ")
	for _, field := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		out[name] = value
	}
	out["algorithm"] = algorithm
	return out
}

func (v *vector) checkURL(t *testing.T, version osscallback.SignatureVersion) {
	opts := &osscallback.PresignOptions{
		Endpoint: v.Request.Scheme + "://" + v.Request.Endpoint,
		Addressing: map[string]osscallback.Addressing{
			"virtual": osscallback.AddressingVirtual,
			"path":    osscallback.AddressingPath,
			"cname":   osscallback.AddressingCNAME,
		}[v.Request.Addressing],
	}
	expiresIn := time.Duration(v.ExpiresSeconds) * time.Second
	signed, err := v.signer(t, version).Presign(v.request(), expiresIn, opts)
	if err != nil {
		t.Errorf("%s: %v", v.ID, err)
		return
	}
	v.stages(t, signed.CanonicalRequest, signed.StringToSign, signed.Signature)
	if v.isTrap() {
		return
	}
	v.same(t, "method", signed.Method, v.Request.Method)
	ours := must(url.Parse(signed.URL))(t)
	query, want := map[string]string{}, map[string]string{}
	for name, values := range ours.Query() {
		query[name] = values[0]
	}
	for _, pair := range v.Expected.QueryPairsDecoded {
		want[*pair[0]] = ""
		if pair[1] != nil {
			want[*pair[0]] = *pair[1]
		}
	}
	v.same(t, "query", query, want)
	if v.Expected.URL != "" {
		theirs := must(url.Parse(v.Expected.URL))(t)
		v.same(t, "origin", ours.Scheme+ours.Host, theirs.Scheme+theirs.Host)
		v.same(t, "path", ours.Path, theirs.Path)
	}
}

func TestSigningVectorsPass(t *testing.T) {
	v1, v4 := osscallback.SignatureVersionV1, osscallback.SignatureVersionV4
	for _, family := range []struct {
		name    string
		version osscallback.SignatureVersion
		check   func(*vector, *testing.T, osscallback.SignatureVersion)
		count   int
	}{
		{"v1_header", v1, (*vector).checkHeaders, 129},
		{"v4_header", v4, (*vector).checkHeaders, 82},
		{"v1_presign", v1, (*vector).checkURL, 44},
		{"v4_presign", v4, (*vector).checkURL, 46},
	} {
		checked := 0
		for _, v := range vectors(t, family.name) {
			// One vector gives the day's key in place of a secret: it is for the steps within the core.
			if v.Credentials.SigningKeyHex == "" {
				family.check(&v, t, family.version)
				checked++
			}
		}
		equal(t, family.name, checked, family.count)
	}
	for _, v := range vectors(t, "post_policy") {
		version := map[string]osscallback.SignatureVersion{"v1": v1, "v4": v4}[v.SignatureVersion]
		got, err := v.signer(t, version).SignPolicy(v.PolicyText, time.Unix(v.Time.Unix, 0))
		if err != nil {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		v.same(t, "form fields", got, v.Expected.FormFields)
	}
}
