/* The receiving side: functions of Go that C calls, and events read in one crossing. */

#ifndef OSS_CALLBACK_GO_RECEIVE_H
#define OSS_CALLBACK_GO_RECEIVE_H

#include "send.h"

extern _Bool goFetchKey(uintptr_t context, uintptr_t within, char *url, struct osscb_key *key,
                        struct osscb_failure *failure);
extern _Bool goFirstUse(uintptr_t context, uintptr_t within, char *nonce, int64_t expires_at);

/* The verification that this thread is in: functions are called on the thread that verifies, and told of the
   verifier only. One for each file of Go that includes this: verifier.go alone verifies and sets functions. */
static _Thread_local uintptr_t go_within;

static inline bool go_fetch_key(void *context, const char *url, osscb_key *key, osscb_failure *failure) {
    return goFetchKey((uintptr_t)context, go_within, (char *)url, key, failure);
}

static inline bool go_first_use(void *context, const char *nonce, int64_t expires_at) {
    return goFirstUse((uintptr_t)context, go_within, (char *)nonce, expires_at);
}

static inline void go_set_fetch_key(osscb_verifier_options *options, uintptr_t context) {
    osscb_verifier_options_set_fetch_key(options, go_fetch_key, go_release, (void *)context);
}

static inline void go_set_first_use(osscb_verifier_options *options, uintptr_t context) {
    osscb_verifier_options_set_first_use(options, go_first_use, go_release, (void *)context);
}

/* Bytes come by a byte pointer, not void *: it says that there are no Go pointers behind it, wherever they lie. */
static inline void go_set_key(osscb_key *key, const uint8_t *pem, size_t len) {
    osscb_key_set(key, pem, len);
}

static inline osscb_status go_parse_event(const uint8_t *body, size_t len, osscb_body_type body_type,
                                          osscb_str body_template, osscb_event **event, osscb_error **error) {
    return osscb_event_parse(body, len, body_type, body_template, event, error);
}

static inline osscb_status go_new_answer(const uint8_t *json, size_t len, osscb_answer **answer,
                                         osscb_error **error) {
    return osscb_answer_new(json, len, answer, error);
}

/* Method, target and headers packed; the signature only where `event` is NULL. */
static inline osscb_status go_verify(const osscb_verifier *verifier, uintptr_t within, const char *text,
                                     const size_t *lens, size_t headers, const uint8_t *body, size_t body_len,
                                     int64_t time, osscb_event **event, osscb_error **error) {
    go_texts texts = {text, lens};
    osscb_str method = go_take(&texts);
    osscb_str target = go_take(&texts);
    osscb_pair *pairs = malloc((headers + 1) * sizeof *pairs);
    if (pairs == NULL) {
        return OSSCB_STATUS_BUG;
    }
    go_take_pairs(&texts, pairs, headers);
    /* A function may verify, too, by another verifier. */
    uintptr_t outer = go_within;
    go_within = within;
    osscb_status status =
        event == NULL ? osscb_verifier_verify_signature(verifier, method, target, pairs, headers, body,
                                                        body_len, error)
                      : osscb_verifier_verify_at(verifier, method, target, pairs, headers, body, body_len,
                                                 time, event, error);
    go_within = outer;
    free(pairs);
    return status;
}

/* All of an event that stands once in it, borrowed from it. */
typedef struct go_event {
    osscb_str bucket, key, etag, mime_type, content_md5, image_format, client_ip, vpc_id, request_id,
        operation, seal_nonce;
    osscb_number size, crc64, image_width, image_height;
    size_t variables, fields;
    int64_t seal_expires_at;
    bool sealed;
} go_event;

static inline go_event go_event_of(const osscb_event *event) {
    go_event out = {osscb_event_bucket(event),
                    osscb_event_key(event),
                    osscb_event_etag(event),
                    osscb_event_mime_type(event),
                    osscb_event_content_md5(event),
                    osscb_event_image_format(event),
                    osscb_event_client_ip(event),
                    osscb_event_vpc_id(event),
                    osscb_event_request_id(event),
                    osscb_event_operation(event),
                    osscb_event_seal_nonce(event),
                    osscb_event_size(event),
                    osscb_event_crc64(event),
                    osscb_event_image_width(event),
                    osscb_event_image_height(event),
                    osscb_event_variable_count(event),
                    osscb_event_field_count(event),
                    0,
                    false};
    out.sealed = osscb_event_seal_expires_at(event, &out.seal_expires_at);
    return out;
}

#endif
