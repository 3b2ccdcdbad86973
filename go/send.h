/* The sending side of bridge.h: functions of Go that C calls. */

#ifndef OSS_CALLBACK_GO_SEND_H
#define OSS_CALLBACK_GO_SEND_H

#include "bridge.h"

extern int64_t goRead(uintptr_t context, uint8_t *buffer, size_t capacity, struct osscb_failure *failure);
extern _Bool goProvide(uintptr_t context, struct osscb_credentials *credentials,
                       struct osscb_failure *failure);
extern _Bool goProgress(uintptr_t context, struct osscb_progress *progress);
extern void goRelease(uintptr_t context);

/* A context is a number here: Go's handles are, and a number must not pass as a pointer in Go. */
static inline void go_release(void *context) {
    goRelease((uintptr_t)context);
}

static inline int64_t go_read(void *context, uint8_t *buffer, size_t capacity, osscb_failure *failure) {
    return goRead((uintptr_t)context, buffer, capacity, failure);
}

static inline bool go_provide(void *context, osscb_credentials *credentials, osscb_failure *failure) {
    return goProvide((uintptr_t)context, credentials, failure);
}

static inline bool go_progress(void *context, const osscb_progress *progress) {
    return goProgress((uintptr_t)context, (struct osscb_progress *)progress);
}

static inline void go_set_credentials(osscb_client_options *options, uintptr_t context) {
    osscb_client_options_set_credentials_function(options, go_provide, go_release, (void *)context);
}

static inline osscb_status go_source_of_function(uint64_t length, uintptr_t context, osscb_source **source,
                                                 osscb_error **error) {
    return osscb_source_of_function(go_read, length, go_release, (void *)context, source, error);
}

/* The memory is pinned by Go until the call that uses it is over. */
static inline osscb_status go_source_of_memory(const uint8_t *data, size_t len, osscb_source **source,
                                               osscb_error **error) {
    return osscb_source_of_memory(data, len, NULL, NULL, source, error);
}

/* As osscb_wait, but what was attached is one of Go's handles, and so a number. */
typedef struct go_wait {
    uintptr_t attached;
    uint64_t timeout_ms;
    int32_t descriptor;
} go_wait;

/* As osscb_call_advance; frees the call when it has ended, and then sets it to NULL. */
static inline osscb_status go_advance(osscb_call **call, go_wait *out, osscb_reply **reply,
                                      osscb_error **error) {
    osscb_wait wait = {0};
    osscb_status status = osscb_call_advance(*call, &wait, reply, error);
    if (status != OSSCB_STATUS_OK || *reply != NULL) {
        osscb_call_free(*call);
        *call = NULL;
    }
    out->attached = (uintptr_t)wait.attached;
    out->timeout_ms = wait.timeout_ms;
    out->descriptor = wait.descriptor;
    return status;
}

/* Takes an upload up and moves it as far as it goes. */
static inline osscb_status go_begin_put(const osscb_client *client, osscb_str bucket, osscb_str key,
                                        const uint8_t *data, size_t data_len, const osscb_callback *callback,
                                        const osscb_put_options *options, const osscb_cancel *cancel,
                                        osscb_call **call, go_wait *wait, osscb_reply **reply,
                                        osscb_error **error) {
    osscb_status status = osscb_begin_put_object_with_callback(client, bucket, key, data, data_len, callback,
                                                               options, cancel, call, error);
    return status == OSSCB_STATUS_OK ? go_advance(call, wait, reply, error) : status;
}

static inline osscb_status go_finish(osscb_call **call, osscb_reply **reply, osscb_error **error) {
    osscb_status status = osscb_call_finish(*call, reply, error);
    osscb_call_free(*call);
    *call = NULL;
    return status;
}

static inline osscb_status go_attach(osscb_call *call, uintptr_t context, osscb_error **error) {
    return osscb_call_attach(call, (void *)context, go_release, error);
}

/* A context of 0 stands for no function. */
static inline osscb_status go_upload(const osscb_client *client, osscb_str bucket, osscb_str key,
                                     const osscb_source *source, const osscb_callback *callback,
                                     const osscb_upload_options *options, const osscb_cancel *cancel,
                                     uintptr_t progress, osscb_reply **reply, osscb_error **error) {
    return osscb_upload_file_with_callback(client, bucket, key, source, callback, options, cancel,
                                           progress == 0 ? NULL : go_progress, (void *)progress, reply,
                                           error);
}

#endif
