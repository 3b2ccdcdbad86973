/* Reads JSON into a tree, for vectors and echoed callbacks. Not fast, and not for files that lie. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } json_type;

typedef struct json json;

struct json {
    json_type type;
    bool boolean;
    char *text;      /* of a text, and a number as it is written */
    size_t text_len; /* a text may hold NULs */
    size_t count;    /* of a list or an object */
    char **names;    /* of an object */
    json *values;
};

/* NULL if it is not JSON. */
json *json_parse(const char *text, size_t len);
/* NULL if it cannot be read or is not JSON. */
json *json_read_file(const char *path);
/* A member of an object; NULL where there is none. */
const json *json_get(const json *value, const char *name);
/* The text of a member; NULL where there is none, or no text. */
const char *json_text(const json *value, const char *name);
/* Whether two trees say the same; the order of members does not matter. */
bool json_equal(const json *a, const json *b);
void json_free(json *value);

#ifdef __cplusplus
}
#endif

#endif
