//go:build cgo

package osscallback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"
)

// HandlerOptions are the options of [CallbackVerifier.Handler]. The zero value of a field means its
// default.
type HandlerOptions struct {
	// Is told why a request was refused, as a warning, or could not be answered, as an error.
	//
	// Default: [slog.Default].
	Logger *slog.Logger
}

// Handler makes an [http.Handler] that verifies each callback and lets handle answer it. Whatever router
// or middleware strips from the path, the request is verified as it arrived. opts may be nil.
//
// What handle returns is sent as JSON, and OSS gives it to the uploader; []byte and [json.RawMessage] are
// sent as they are, and so is an [Answer], such as [Refusal]. The context is the request's. Requests that are not
// from OSS never reach handle: they are answered with [Refusal], and the reason is logged; so are those whose body
// does not arrive whole, or not within [VerifierOptions.BodyTimeout], and those for which handle returns an
// [ErrVerification], such as that of [Client.Confirm]. If handle fails otherwise, or returns what OSS would refuse,
// that is logged and answered with [Failure]. In both cases the object stays stored, and the uploader gets
// [ErrCallbackFailed].
func (v *CallbackVerifier) Handler(
	handle func(ctx context.Context, event *CallbackEvent) (answer any, err error), opts *HandlerOptions,
) http.Handler {
	var options HandlerOptions
	if opts != nil {
		options = *opts
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log := options.Logger
		if log == nil {
			log = slog.Default()
		}
		body, err := v.readInTime(w, r)
		if err != nil && v != nil {
			// The sender's fault, as far as one can tell. That of a nil verifier is told below.
			log.WarnContext(r.Context(), "callback refused", "error", err)
			Refusal().Send(w)
			return
		}
		answer, err := v.answer(r, body, handle)
		var e *Error
		switch {
		case err == nil:
			answer.Send(w)
		case errors.As(err, &e) && e.Kind == KindVerification:
			log.WarnContext(r.Context(), "callback refused", "reason", string(e.Reason), "error", err)
			Refusal().Send(w)
		default:
			log.ErrorContext(r.Context(), "callback not answered", "error", err)
			Failure().Send(w)
		}
	})
}

func (v *CallbackVerifier) answer(
	r *http.Request, body []byte, handle func(context.Context, *CallbackEvent) (any, error),
) (*Answer, error) {
	event, err := v.verifyRead(r, body)
	if err != nil {
		return nil, err
	}
	answer, err := handle(r.Context(), event)
	if err != nil {
		return nil, err
	}
	return answerOf(answer)
}

// VerifyRequest verifies a callback request: reads its body, at most MaxBody bytes, and takes the target
// as it arrived from RequestURI. Call it before anything else reads the body.
//
// The error is as for [CallbackVerifier.Verify]; of a body that does not arrive whole it is [ErrNetwork],
// or [ErrTimeout] if a deadline of the server's has passed. To all of these answer [Refusal]. Only
// [CallbackVerifier.Handler] sets a deadline, as a request alone has no way to it.
func (v *CallbackVerifier) VerifyRequest(r *http.Request) (*CallbackEvent, error) {
	body, err := v.read(r)
	if err != nil {
		return nil, err
	}
	return v.verifyRead(r, body)
}

func (v *CallbackVerifier) verifyRead(r *http.Request, body []byte) (*CallbackEvent, error) {
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	return v.verifyIn(r.Context(), r.Method, target, r.Header, body, time.Time{})
}

func (v *CallbackVerifier) read(r *http.Request) ([]byte, error) {
	if v == nil {
		return nil, isNil("verifier")
	}
	if r.Body == nil {
		return nil, nil
	}
	// One byte more than is allowed: the verifier then says that it is too much.
	body, err := io.ReadAll(io.LimitReader(r.Body, v.maxBody+1))
	if err == nil {
		return body, nil
	}
	e := &Error{Kind: KindNetwork, Source: err.Error(), wrapped: []error{err}}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		e.Kind = KindTimeout
	}
	e.Message = "the body of the callback did not arrive whole: " + err.Error()
	return nil, e
}

// readInTime has the server end the reading when the time is over: a deadline that is set beforehand would take
// the place of an earlier one of the server's.
func (v *CallbackVerifier) readInTime(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if v == nil {
		return nil, isNil("verifier")
	}
	ended := make(chan struct{})
	timer := time.AfterFunc(v.bodyTimeout, func() {
		// Not every server can do it; then its own timeouts hold.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
		close(ended)
	})
	// Also when the reading panics: the server may not be asked once the handler has returned.
	defer timer.Stop()
	body, err := v.read(r)
	if timer.Stop() {
		return body, err
	}
	<-ended
	return nil, &Error{
		Kind: KindTimeout, wrapped: []error{os.ErrDeadlineExceeded},
		Message: fmt.Sprintf("the body of the callback did not arrive within %v", v.bodyTimeout),
	}
}

// Send writes the answer.
func (a *Answer) Send(w http.ResponseWriter) {
	// OSS refuses an answer in chunks.
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	// Whom it does not reach is gone.
	_, _ = w.Write(a.Body)
}

// checked refuses what cannot be sent.
func (a *Answer) checked() (*Answer, error) {
	if a.Status < 200 || a.Status > 599 {
		return nil, wrongArgument("status", fmt.Sprintf("is %d, but must be from 200 to 599", a.Status))
	}
	return a, nil
}

func answerOf(answer any) (*Answer, error) {
	switch answer := answer.(type) {
	case *Answer:
		if answer != nil {
			return answer.checked()
		}
	case Answer:
		return answer.checked()
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
