/* What the scenarios share: where the testbed is, clients, callbacks and uploads in one line, and a
 * server that answers too early. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"
#include "oss_callback.h"
#include "test.h"

#define BUCKET OSSCB_STR("examplebucket")

/* A variable that the testbed sets; ends the program where it is missing. */
const char *testbed(const char *name);

/* A client of the emulator, or of another endpoint, with the testbed's credentials. NULL for what is to
 * be the testbed's. */
osscb_client *client_with(const char *endpoint, const char *secret, const char *token,
                          osscb_signature_version version);
osscb_client *client_of(const char *endpoint);

/* A callback to a path of the application server. Frees `options`, which may be NULL. */
osscb_callback *callback_to(const char *path, osscb_callback_options *options);
/* Options of a callback with a body in JSON. */
osscb_callback_options *json_body(const char *body);

/* What came of an upload. */
typedef struct outcome {
    osscb_status status;
    osscb_reply *reply;
    osscb_error *error;
} outcome;

outcome put(const osscb_client *client, const char *key, const void *data, size_t len,
            const osscb_callback *callback, const osscb_put_options *options, const osscb_cancel *cancel);
outcome put_text(const osscb_client *client, const char *key, const osscb_callback *callback);
/* Notes a failure, with the error's message, unless the upload succeeded. */
bool succeeded(const outcome *outcome);
void release(outcome *outcome);

/* The callback that the application server at /echo received, out of its answer: its JSON, and the
 * `body` in it as JSON, or as text for forms. */
json *echo_of(const osscb_reply *reply);
json *json_in(const json *echo, const char *member);

/* As `put`, from a source, which is freed: by put_source, by upload_file, or started and waited for. */
typedef enum way { BY_PUT, BY_UPLOAD, BY_STARTED_PUT, BY_STARTED_UPLOAD } way;
outcome send_source(way way, const osscb_client *client, const char *key, osscb_source *source,
                    const osscb_callback *callback);
outcome upload(const osscb_client *client, const char *key, osscb_source *source, const osscb_callback *callback,
               const osscb_upload_options *options, const osscb_cancel *cancel, osscb_progress_function progress,
               void *context);

/* A read function over bytes that tell where they are: byte i is i % 251. */
typedef struct stream {
    size_t size;
    size_t at;
    size_t step;      /* most bytes in one read; 0 for as many as asked for */
    size_t fail_at;   /* where it fails, if `failure` is not NULL */
    const char *failure;
    int64_t answer;   /* what it returns then */
    long pause_ms;    /* before each read */
    int reads;
    int released;
} stream;
int64_t read_stream(void *context, uint8_t *buffer, size_t capacity, osscb_failure *failure);
void release_stream(void *context);
/* A source that reads it. `length` may be OSSCB_UNKNOWN. */
osscb_source *source_of(stream *stream, uint64_t length);

/* The same bytes in memory, and in a new file that is to be removed. */
unsigned char *counting(size_t size);
char *file_of(size_t size);
/* CRC-64 as OSS has it (ECMA-182, reflected), bit by bit: not the library's own. */
uint64_t crc64_of(const unsigned char *data, size_t len);

/* The body of the answer to a GET; freed by free(). */
char *fetched(const char *base, const char *path);
/* How many callbacks so far held `text` in their body, as the application server counts them. */
int callbacks_with(const char *text);

/* How long the misbehaving OSS says nothing when asked for hang/. A call that ended long before did not wait
 * for it, however slow the machine is. */
enum { HANG_MS = 20000 };

long now_ms(void);
void sleep_ms(long ms);

/* Runs on a thread of its own. */
typedef struct worker worker;
worker *start(void (*run)(void *), void *argument);
void finish(worker *worker);

/* A server that answers 403 as soon as the head of a request has arrived, and reads no more; or, silent,
 * that accepts and does nothing. Gives its port. */
int hasty_server(void);
int silent_server(void);
/* What the silent one is: a socket that listens. */
int listening(int *port);

#endif
