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

/* Checks that a call fails with `invalid_argument`, for that field, and with `word` in its message. `call`
 * uses a variable `error`, which is freed. */
#define REFUSED(call, field, word)                        \
    do {                                                  \
        osscb_error *error = NULL;                        \
        osscb_status status = call;                       \
        is_refused(status, error, field, word, __LINE__); \
    } while (0)
void is_refused(osscb_status status, osscb_error *error, const char *field, const char *word, int line);

/* The callback that the application server at /echo received, out of its answer: its JSON, and the
 * `body` in it as JSON, or as text for forms. */
json *echo_of(const osscb_reply *reply);
json *json_in(const json *echo, const char *member);

/* How many callbacks so far held `text` in their body, as the application server counts them. */
int callbacks_with(const char *text);

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

#endif
