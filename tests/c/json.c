#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *at;
    const char *end;
} reader;

static bool read_value(reader *in, json *out, int depth);

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void skip_blanks(reader *in) {
    while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != '\0') {
        in->at++;
    }
}

static bool take(reader *in, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0) {
        return false;
    }
    in->at += len;
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool read_hex(reader *in, uint32_t *unit) {
    char digits[5] = {0};
    char *end = NULL;
    if (in->end - in->at < 4) {
        return false;
    }
    memcpy(digits, in->at, 4);
    *unit = (uint32_t)strtoul(digits, &end, 16);
    in->at += 4;
    return end == digits + 4;
}

static bool read_escape(reader *in, char *out, size_t *len) {
    static const char names[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    if (in->at >= in->end) {
        return false;
    }
    char c = *in->at++;
    if (c == 'u') {
        uint32_t unit = 0;
        uint32_t low = 0;
        if (!read_hex(in, &unit)) {
            return false;
        }
        if (unit >= 0xd800 && unit < 0xdc00) {
            if (!take(in, "\\u") || !read_hex(in, &low) || low < 0xdc00 || low > 0xdfff) {
                return false;
            }
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
        *len += put_utf8(out + *len, unit);
        return true;
    }
    const char *known = c == '\0' ? NULL : strchr(names, c);
    if (known == NULL) {
        return false;
    }
    out[(*len)++] = meant[known - names];
    return true;
}

static bool read_text(reader *in, char **text, size_t *text_len) {
    if (!take(in, "\"")) {
        return false;
    }
    /* No escape is longer decoded than written. */
    char *out = must(malloc((size_t)(in->end - in->at) + 1));
    size_t len = 0;
    while (in->at < in->end && *in->at != '"') {
        char c = *in->at++;
        if (c != '\\') {
            out[len++] = c;
        } else if (!read_escape(in, out, &len)) {
            free(out);
            return false;
        }
    }
    out[len] = '\0';
    *text = must(realloc(out, len + 1));
    *text_len = len;
    return take(in, "\"");
}

static bool read_members(reader *in, json *out, char close, int depth) {
    bool named = close == '}';
    const char closing[2] = {close, '\0'};
    skip_blanks(in);
    if (take(in, closing)) {
        return true;
    }
    do {
        out->values = must(realloc(out->values, (out->count + 1) * sizeof *out->values));
        memset(&out->values[out->count], 0, sizeof *out->values);
        if (named) {
            out->names = must(realloc(out->names, (out->count + 1) * sizeof *out->names));
            out->names[out->count] = NULL;
        }
        out->count++;
        if (named) {
            size_t len = 0;
            skip_blanks(in);
            if (!read_text(in, &out->names[out->count - 1], &len)) {
                return false;
            }
            skip_blanks(in);
            if (!take(in, ":")) {
                return false;
            }
        }
        if (!read_value(in, &out->values[out->count - 1], depth + 1)) {
            return false;
        }
        skip_blanks(in);
    } while (take(in, ","));
    return take(in, closing);
}

static bool read_number(reader *in, json *out) {
    const char *start = in->at;
    while (in->at < in->end && *in->at != '\0' && strchr("+-.eE0123456789", *in->at) != NULL) {
        in->at++;
    }
    out->type = JSON_NUMBER;
    out->text_len = (size_t)(in->at - start);
    out->text = must(calloc(out->text_len + 1, 1));
    memcpy(out->text, start, out->text_len);
    return out->text_len > 0;
}

static bool read_value(reader *in, json *out, int depth) {
    if (depth > 64) {
        return false;
    }
    skip_blanks(in);
    if (in->at >= in->end) {
        return false;
    }
    switch (*in->at) {
    case '{':
        in->at++;
        out->type = JSON_OBJECT;
        return read_members(in, out, '}', depth);
    case '[':
        in->at++;
        out->type = JSON_LIST;
        return read_members(in, out, ']', depth);
    case '"':
        out->type = JSON_TEXT;
        return read_text(in, &out->text, &out->text_len);
    case 't':
        out->type = JSON_BOOL;
        out->boolean = true;
        return take(in, "true");
    case 'f':
        out->type = JSON_BOOL;
        return take(in, "false");
    case 'n':
        out->type = JSON_NULL;
        return take(in, "null");
    default:
        return read_number(in, out);
    }
}

json *json_parse(const char *text, size_t len) {
    reader in = {text, text + len};
    json *out = must(calloc(1, sizeof *out));
    bool whole = read_value(&in, out, 0);
    skip_blanks(&in);
    if (!whole || in.at != in.end) {
        json_free(out);
        return NULL;
    }
    return out;
}

json *json_read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *text = NULL;
    size_t len = 0;
    size_t got = 0;
    do {
        text = must(realloc(text, len + 65536));
        got = fread(text + len, 1, 65536, file);
        len += got;
    } while (got > 0);
    fclose(file);
    json *out = json_parse(text, len);
    free(text);
    return out;
}

const json *json_get(const json *value, const char *name) {
    if (value == NULL || value->type != JSON_OBJECT) {
        return NULL;
    }
    for (size_t i = 0; i < value->count; i++) {
        if (strcmp(value->names[i], name) == 0) {
            return &value->values[i];
        }
    }
    return NULL;
}

const char *json_text(const json *value, const char *name) {
    const json *member = json_get(value, name);
    return member != NULL && member->type == JSON_TEXT ? member->text : NULL;
}

bool json_equal(const json *a, const json *b) {
    if (a == NULL || b == NULL || a->type != b->type) {
        return a == b;
    }
    switch (a->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_NUMBER:
    case JSON_TEXT:
        return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    default:
        break;
    }
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const json *other = a->type == JSON_LIST ? &b->values[i] : json_get(b, a->names[i]);
        if (!json_equal(&a->values[i], other)) {
            return false;
        }
    }
    return true;
}

static void clear(json *value) {
    free(value->text);
    for (size_t i = 0; i < value->count; i++) {
        if (value->names != NULL) {
            free(value->names[i]);
        }
        clear(&value->values[i]);
    }
    free(value->names);
    free(value->values);
}

void json_free(json *value) {
    if (value != NULL) {
        clear(value);
        free(value);
    }
}
