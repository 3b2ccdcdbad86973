/* What the boundary tests share. */
#ifndef BOUNDARY_H
#define BOUNDARY_H

#include "support.h"

/* Checks a failure and frees its error. */
void is_refused(osscb_status status, osscb_error *error, const char *field, const char *word, int line);

/* A call, which is given `&error`, fails with invalid_argument; the field is as named, and the message has
 * the word. */
#define REFUSED(call, field, word)                        \
    do {                                                  \
        osscb_error *error = NULL;                        \
        osscb_status status = call;                       \
        is_refused(status, error, field, word, __LINE__); \
    } while (0)

/* A client of a port of this machine. */
osscb_client *local_client(int port);
osscb_callback *any_callback(void);

extern const test source_boundary_tests[];
extern const size_t source_boundary_tests_count;
extern const test receive_boundary_tests[];
extern const size_t receive_boundary_tests_count;

#endif
