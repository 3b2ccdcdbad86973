/* Callback requests as they reach an application server, and what a verifier makes of them. */
#ifndef RECEIVED_H
#define RECEIVED_H

#include "support.h"

/* A callback request. Its parts are lent by whatever it was made of. */
typedef struct received {
    osscb_str method;
    osscb_str target;
    osscb_pair headers[32];
    size_t headers_count;
    osscb_str body;
} received;

/* What came of a verification. */
typedef struct verdict {
    osscb_status status;
    osscb_event *event;
    osscb_error *error;
} verdict;

/* The emulator's public key, as PEM. */
osscb_str emulator_key(void);

/* Uploads `data` with a callback to /echo, and frees `callback`. Gives what the application server
 * received; `*echo` holds its texts, and is freed by json_free. */
received receive(const osscb_client *client, const char *key, const char *data, osscb_callback *callback,
                 json **echo);
/* The request in an echo, or a vector's: `method`, `headers` and `target`, by that name. */
received request_in(const json *value, const char *target, osscb_str body);
/* Another value for a header that is there; `ptr` NULL takes it away. */
void set_header(received *request, const char *name, osscb_str value);

/* Makes a verifier, and frees `options`. NULL, and a failure noted, if they are refused. */
osscb_verifier *verifier_of(osscb_verifier_options *options);
/* Options that trust the emulator's key. */
osscb_verifier_options *trusting(void);

verdict verify(const osscb_verifier *verifier, const received *request);
verdict verify_at(const osscb_verifier *verifier, const received *request, int64_t time);
/* Notes a failure, with the error's message, unless the request was accepted. */
bool accepted(const verdict *verdict);
/* Whether the request was refused for that reason; a failure is noted if not. */
bool refused(const verdict *verdict, const char *reason);
void dismiss(verdict *verdict);

/* A form body, understood and not verified. */
osscb_event *event_of(const char *body);

/* A comparison that shows both texts when they differ; NULL is "no text". */
#define CHECK_STR(actual, expected) check_str((actual), (expected), __FILE__, __LINE__, #actual)
bool check_str(osscb_str actual, const char *expected, const char *file, int line, const char *what);

#endif
