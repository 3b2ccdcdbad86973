/* What would otherwise be many crossings from Go into C, or Go memory that holds Go pointers. */

#ifndef OSS_CALLBACK_GO_BRIDGE_H
#define OSS_CALLBACK_GO_BRIDGE_H

#include <oss_callback.h>
#include <stdlib.h>

/* A length that says "no text". */
#define GO_NO_TEXT SIZE_MAX

/* Texts one behind the other, and their lengths: neither holds a pointer, so that Go may lend them. */
typedef struct go_texts {
    const char *next;
    const size_t *lens;
} go_texts;

static inline osscb_str go_take(go_texts *texts) {
    osscb_str text = OSSCB_NO_STR;
    size_t len = *texts->lens++;
    if (len != GO_NO_TEXT) {
        text.ptr = texts->next;
        text.len = len;
        texts->next += len;
    }
    return text;
}

/* Fills `count` pairs from twice as many texts. */
static inline void go_take_pairs(go_texts *texts, osscb_pair *pairs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = go_take(texts);
        pairs[i].value = go_take(texts);
    }
}

/* As osscb_put_object_with_callback, but for the type of the data. */
static inline osscb_status go_put(const osscb_client *client, osscb_str bucket, osscb_str key,
                                  const uint8_t *data, size_t data_len, const osscb_callback *callback,
                                  const osscb_put_options *options, const osscb_cancel *cancel,
                                  osscb_reply **reply, osscb_error **error) {
    return osscb_put_object_with_callback(client, bucket, key, data, data_len, callback, options, cancel,
                                          reply, error);
}

/* Likewise as osscb_start_put_object_with_callback. */
static inline osscb_status go_start_put(const osscb_client *client, osscb_str bucket, osscb_str key,
                                        const uint8_t *data, size_t data_len, const osscb_callback *callback,
                                        const osscb_put_options *options, const osscb_cancel *cancel,
                                        const osscb_completions *completions, uint64_t tag,
                                        osscb_error **error) {
    return osscb_start_put_object_with_callback(client, bucket, key, data, data_len, callback, options, cancel,
                                                completions, tag, error);
}

static inline osscb_status go_preview(const osscb_callback *callback, const char *text, const size_t *lens,
                                      size_t count, osscb_string *body, osscb_error **error) {
    go_texts texts = {text, lens};
    osscb_pair *pairs = malloc((count + 1) * sizeof *pairs);
    if (pairs == NULL) {
        return OSSCB_STATUS_BUG;
    }
    go_take_pairs(&texts, pairs, count);
    osscb_status status = osscb_callback_preview(callback, pairs, count, body, error);
    free(pairs);
    return status;
}

/* A request to be signed, unpacked: method, bucket, key, query, headers, additional headers. */
typedef struct go_request {
    osscb_sign_request request;
    void *memory;
} go_request;

static inline go_request go_unpack(const char *text, const size_t *lens, size_t query, size_t headers,
                                   size_t additional) {
    go_texts texts = {text, lens};
    go_request out = {OSSCB_SIGN_REQUEST_INIT, NULL};
    out.memory = malloc((query + headers + 1) * sizeof(osscb_pair) + additional * sizeof(osscb_str));
    if (out.memory == NULL) {
        return out;
    }
    osscb_pair *pairs = out.memory;
    osscb_str *names = (osscb_str *)(pairs + query + headers);
    out.request.method = go_take(&texts);
    out.request.bucket = go_take(&texts);
    out.request.key = go_take(&texts);
    go_take_pairs(&texts, pairs, query + headers);
    for (size_t i = 0; i < additional; i++) {
        names[i] = go_take(&texts);
    }
    out.request.query = pairs;
    out.request.query_count = query;
    out.request.headers = pairs + query;
    out.request.headers_count = headers;
    out.request.additional_headers = names;
    out.request.additional_headers_count = additional;
    return out;
}

static inline osscb_status go_sign(const osscb_signer *signer, const char *text, const size_t *lens,
                                   size_t query, size_t headers, size_t additional, int64_t time,
                                   osscb_signed **signed_request, osscb_error **error) {
    go_request unpacked = go_unpack(text, lens, query, headers, additional);
    if (unpacked.memory == NULL) {
        return OSSCB_STATUS_BUG;
    }
    osscb_status status = osscb_signer_sign(signer, &unpacked.request, time, signed_request, error);
    free(unpacked.memory);
    return status;
}

static inline osscb_status go_presign(const osscb_signer *signer, const char *text, const size_t *lens,
                                      size_t query, size_t headers, size_t additional, osscb_str endpoint,
                                      osscb_addressing addressing, uint64_t expires_in_s, int64_t time,
                                      osscb_presigned **presigned, osscb_error **error) {
    go_request unpacked = go_unpack(text, lens, query, headers, additional);
    if (unpacked.memory == NULL) {
        return OSSCB_STATUS_BUG;
    }
    osscb_status status = osscb_signer_presign(signer, &unpacked.request, endpoint, addressing, expires_in_s,
                                               time, presigned, error);
    free(unpacked.memory);
    return status;
}

/* All of a reply at once, borrowed from it. */
typedef struct go_reply {
    osscb_bytes body;
    const char *content_type, *etag, *version_id, *request_id;
    uint64_t crc64, server_time_ms;
    bool has_crc64;
} go_reply;

static inline go_reply go_reply_of(const osscb_reply *reply) {
    go_reply out = {osscb_reply_body(reply),
                    osscb_reply_content_type(reply),
                    osscb_reply_etag(reply),
                    osscb_reply_version_id(reply),
                    osscb_reply_request_id(reply),
                    0,
                    0,
                    false};
    out.has_crc64 = osscb_reply_crc64(reply, &out.crc64);
    osscb_reply_server_time_ms(reply, &out.server_time_ms);
    return out;
}

#endif
