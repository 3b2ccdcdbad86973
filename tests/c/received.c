#define _POSIX_C_SOURCE 200809L

#include "received.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

osscb_str emulator_key(void) {
    static char pem[2048];
    static size_t len;
    if (len == 0) {
        FILE *file = fopen(testbed("OSS_PUBLIC_KEY_FILE"), "rb");
        if (file == NULL) {
            test_fail("the emulator's key cannot be read");
            return OSSCB_NO_STR;
        }
        len = fread(pem, 1, sizeof pem, file);
        fclose(file);
    }
    osscb_str lent = {pem, len};
    return lent;
}

received request_in(const json *value, const char *target, osscb_str body) {
    received out;
    const json *headers = json_get(value, "headers");
    memset(&out, 0, sizeof out);
    out.method = osscb_str_of(json_text(value, "method"));
    out.target = osscb_str_of(json_text(value, target));
    out.body = body;
    for (size_t i = 0; headers != NULL && i < headers->count && i < 32; i++) {
        const json *pair = headers->values[i].values;
        out.headers[i].name = osscb_str_of(pair[0].text);
        out.headers[i].value = osscb_str_of(pair[1].text);
        out.headers_count = i + 1;
    }
    return out;
}

received receive(const osscb_client *client, const char *key, const char *data, osscb_callback *callback,
                 json **echo) {
    received request;
    outcome out = put(client, key, data, strlen(data), callback, NULL, NULL);
    memset(&request, 0, sizeof request);
    *echo = NULL;
    if (succeeded(&out)) {
        *echo = echo_of(out.reply);
        request = request_in(*echo, "target", osscb_str_of(json_text(*echo, "body")));
    }
    release(&out);
    osscb_callback_free(callback);
    return request;
}

void set_header(received *request, const char *name, osscb_str value) {
    for (size_t i = 0; i < request->headers_count; i++) {
        if (strcasecmp(request->headers[i].name.ptr, name) == 0) {
            request->headers[i].value = value;
            if (value.ptr == NULL) {
                request->headers[i] = request->headers[--request->headers_count];
            }
            return;
        }
    }
    test_fail("there is no header %s", name);
}

osscb_verifier *verifier_of(osscb_verifier_options *options) {
    osscb_verifier *verifier = NULL;
    osscb_error *error = NULL;
    if (osscb_verifier_new(options, &verifier, &error) != OSSCB_STATUS_OK) {
        test_fail("verifier: %s", osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_verifier_options_free(options);
    return verifier;
}

osscb_verifier_options *trusting(void) {
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_add_trusted_key(options, emulator_key());
    return options;
}

verdict verify_at(const osscb_verifier *verifier, const received *request, int64_t time) {
    verdict out = {OSSCB_STATUS_OK, NULL, NULL};
    out.status = osscb_verifier_verify_at(verifier, request->method, request->target, request->headers,
                                          request->headers_count, request->body.ptr, request->body.len, time,
                                          &out.event, &out.error);
    return out;
}

verdict verify(const osscb_verifier *verifier, const received *request) {
    verdict out = {OSSCB_STATUS_OK, NULL, NULL};
    out.status = osscb_verifier_verify(verifier, request->method, request->target, request->headers,
                                       request->headers_count, request->body.ptr, request->body.len, &out.event,
                                       &out.error);
    return out;
}

bool accepted(const verdict *verdict) {
    if (verdict->status != OSSCB_STATUS_OK) {
        test_fail("verify: %s: %s", osscb_status_name(verdict->status), osscb_error_message(verdict->error));
    }
    return verdict->status == OSSCB_STATUS_OK;
}

bool refused(const verdict *verdict, const char *reason) {
    return CHECK(verdict->status == OSSCB_STATUS_VERIFICATION && verdict->event == NULL) &&
           CHECK_TEXT(osscb_error_reason(verdict->error), reason);
}

void dismiss(verdict *verdict) {
    osscb_event_free(verdict->event);
    osscb_error_free(verdict->error);
    verdict->event = NULL;
    verdict->error = NULL;
}

osscb_event *event_of(const char *body) {
    osscb_event *event = NULL;
    osscb_error *error = NULL;
    if (osscb_event_parse(body, strlen(body), OSSCB_BODY_TYPE_FORM, OSSCB_NO_STR, &event, &error) != OSSCB_STATUS_OK) {
        test_fail("%s: %s", body, osscb_error_message(error));
    }
    osscb_error_free(error);
    return event;
}

bool check_str(osscb_str actual, const char *expected, const char *file, int line, const char *what) {
    if (!osscb_str_equals(actual, osscb_str_of(expected))) {
        test_fail("%s:%d: %s is `%.*s`, not `%s`", file, line, what, (int)actual.len,
                  actual.ptr == NULL ? "" : actual.ptr, expected == NULL ? "(null)" : expected);
        return false;
    }
    return true;
}
