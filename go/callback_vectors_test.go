package osscallback_test

// The callback vectors through Go's Callback.

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	osscallback "github.com/oss-callback/oss-callback/go"
)

var bodyTypes = map[string]osscallback.BodyType{
	"application/x-www-form-urlencoded": osscallback.BodyTypeForm,
	"application/json":                  osscallback.BodyTypeJSON,
}

// built makes the callback that the members describe; ok is false where Go's types cannot say it.
func built(members, vars map[string]any) (callback *osscallback.Callback, err error, ok bool) {
	opts := &osscallback.CallbackOptions{Vars: map[string]string{}}
	address := ""
	if _, named := members["callbackPolicy"]; !named {
		opts.SNI = osscallback.Ptr(false)
	}
	for name, value := range members {
		text, isText := value.(string)
		switch name {
		case "callbackUrl":
			address, ok = text, isText
		case "callbackPolicy":
			opts.Policy, ok = text, isText
		case "callbackBody":
			// An empty body is the default one in Go.
			opts.Body, ok = text, isText && text != ""
		case "callbackHost":
			opts.Host, ok = text, isText
		case "callbackBodyType":
			opts.BodyType, ok = bodyTypes[text]
		case "callbackSNI":
			var on bool
			on, ok = value.(bool)
			opts.SNI = osscallback.Ptr(on)
		case "additionalHeaders":
			opts.Headers, ok = textsOf(value)
		}
		if !ok {
			return nil, nil, false
		}
	}
	if opts.Vars, ok = textsOf(vars); !ok {
		return nil, nil, false
	}
	callback, err = osscallback.NewCallback(address, opts)
	return callback, err, true
}

func textsOf(value any) (map[string]string, bool) {
	out := map[string]string{}
	members, ok := value.(map[string]any)
	for name, value := range members {
		text, isText := value.(string)
		ok = ok && isText
		out[name] = text
	}
	return out, ok
}

// fromAliOSS gives the callback of an ali-oss call the members' names.
func fromAliOSS(input map[string]any) (members, vars map[string]any) {
	members, vars = map[string]any{}, map[string]any{}
	for theirs, member := range map[string]string{
		"url":         "callbackUrl",
		"body":        "callbackBody",
		"host":        "callbackHost",
		"contentType": "callbackBodyType",
		"callbackSNI": "callbackSNI",
	} {
		if value := input[theirs]; value != nil {
			members[member] = value
		}
	}
	custom, _ := input["customValue"].(map[string]any)
	for name, value := range custom {
		// Our variables are text by their type: the caller turns others into it.
		vars[name] = fmt.Sprint(value)
	}
	return members, vars
}

// decodedBase64 returns nil for nothing.
func decodedBase64(t *testing.T, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	return decoded(t, string(must(base64.StdEncoding.DecodeString(text))(t)))
}

// Where an SDK's way is not ours: tests/rust/tests/all/callback_vectors.rs says what we do instead.
var quirks = map[string]bool{
	"ali-oss-url-space":           true,
	"ali-oss-url-unicode":         true,
	"ali-oss-url-already-encoded": true,
	"ali-oss-url-reserved":        true,
	"ali-oss-var-prefixed-key":    true,
}

func TestCallbackVectorsPass(t *testing.T) {
	checked := 0
	for _, v := range vectors(t, "callback_encoding") {
		if quirks[v.ID] {
			continue
		}
		members, vars := fromAliOSS(v.SDKInput)
		if given, ok := v.SDKInput["callback"].(map[string]any); ok {
			members = given
			vars, _ = v.SDKInput["callback_var"].(map[string]any)
		}
		callback, err, ok := built(members, vars)
		if err != nil || !ok {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		want := v.Expected.CallbackJSON
		if want["callbackSNI"] == false {
			// What OSS takes as the default is left out.
			delete(want, "callbackSNI")
		}
		v.same(t, "callback", decodedBase64(t, callback.Encoded()), want)
		v.same(t, "variables", decodedBase64(t, callback.EncodedVars()), v.Expected.CallbackVarJSON)
		callback.Close()
		checked++
	}
	equal(t, "callback_encoding", checked, 15)
	checkValidity(t)
}

func checkValidity(t *testing.T) {
	t.Helper()
	accepted, refused := 0, 0
	for _, v := range vectors(t, "callback_validity") {
		var members map[string]any
		vars := map[string]any{}
		if v.CallbackJSONText == nil || json.Unmarshal([]byte(*v.CallbackJSONText), &members) != nil {
			continue
		}
		if v.CallbackVarJSONText != nil && json.Unmarshal([]byte(*v.CallbackVarJSONText), &vars) != nil {
			continue
		}
		callback, err, ok := built(members, vars)
		switch {
		case !ok || v.ID == "url-localhost" || v.ID == "url-private":
			// Only a running OSS can tell what a host resolves to, and a test server is on loopback.
		case v.Expected.Valid:
			if err != nil {
				t.Errorf("%s: %v", v.ID, err)
			}
			accepted++
		default:
			if err == nil {
				t.Errorf("%s: accepted", v.ID)
				break
			}
			e := failure(t, err)
			v.same(t, "kind", e.Kind, osscallback.KindInvalidArgument)
			v.same(t, "EC", e.EC, v.Expected.EC)
			refused++
		}
		callback.Close()
	}
	equal(t, "accepted", accepted, 6)
	equal(t, "refused", refused, 5)
}
