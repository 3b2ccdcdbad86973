package osscallback

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// bodyTime is how long a callback's body may take to arrive. OSS waits 5 seconds for the whole answer.
var bodyTime = 10 * time.Second

// Handler makes an [http.Handler] that verifies each callback and lets handle answer it. Whatever router
// or middleware strips from the path, the request is verified as it arrived.
//
// What handle returns is sent as JSON, and OSS gives it to the uploader; []byte and [json.RawMessage] are
// sent as they are. The context is the request's. Requests that are not from OSS never reach handle: they
// are answered with [Refusal], and the reason is logged by [slog]. If handle fails, or returns what OSS
// would refuse, that is logged and answered with status 500: the object stays stored, and the uploader
// gets [ErrCallbackFailed].
func (v *CallbackVerifier) Handler(
	handle func(ctx context.Context, event *CallbackEvent) (answer any, err error),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every server can do it; then its own timeouts hold.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		event, err := v.VerifyRequest(r)
		if err != nil {
			var e *Error
			if errors.As(err, &e) && e.Kind == KindVerification {
				slog.WarnContext(r.Context(), "callback refused", "reason", string(e.Reason), "error", e)
				Refusal().Send(w)
				return
			}
			broken(w, r, err)
			return
		}
		answer, err := handle(r.Context(), event)
		if err != nil {
			broken(w, r, err)
			return
		}
		reply, err := answerOf(answer)
		if err != nil {
			broken(w, r, err)
			return
		}
		reply.Send(w)
	})
}

// VerifyRequest verifies a callback request: reads its body, at most MaxBody bytes, and takes the target
// as it arrived from RequestURI. Call it before anything else reads the body.
//
// The error is as for [CallbackVerifier.Verify], or that of the reading.
func (v *CallbackVerifier) VerifyRequest(r *http.Request) (*CallbackEvent, error) {
	if v == nil {
		return nil, isNil("verifier")
	}
	var body []byte
	if r.Body != nil {
		// One byte more than is allowed: the verifier then says that it is too much.
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, v.maxBody+1)); err != nil {
			return nil, err
		}
	}
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	return v.Verify(r.Method, target, r.Header, body)
}

// Send writes the answer.
func (a *Answer) Send(w http.ResponseWriter) {
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	// Whom it does not reach is gone.
	_, _ = w.Write(a.Body)
}

func answerOf(answer any) (*Answer, error) {
	switch answer := answer.(type) {
	case []byte:
		return NewAnswer(answer)
	case json.RawMessage:
		return NewAnswer(answer)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return NewAnswer(text)
}

func broken(w http.ResponseWriter, r *http.Request, err error) {
	slog.ErrorContext(r.Context(), "callback not answered", "error", err)
	brokenAnswer().Send(w)
}
