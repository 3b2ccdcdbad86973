#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a signing vector is: see tests/vectors/README.md. */
static bool is_hard(const json *vector) {
    const char *status = json_text(vector, "status");
    bool repeated = strncmp(json_text(vector, "case") ? json_text(vector, "case") : "", "rep-", 4) == 0;
    bool from_key = json_text(json_get(vector, "credentials"), "signing_key_hex") != NULL;
    return strcmp(status, "disputed") != 0 && !repeated && !from_key;
}

static json *family(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.json", testbed("OSS_CALLBACK_VECTORS"), name);
    json *file = json_read_file(path);
    if (file == NULL) {
        test_fail("%s cannot be read", path);
    }
    return file;
}

static osscb_str text_of(const json *value, const char *name) {
    return osscb_str_of(json_text(value, name));
}

static osscb_signer *signer_of(const json *vector, bool v4) {
    const json *credentials = json_get(vector, "credentials");
    osscb_signer_options *options = osscb_signer_options_new();
    osscb_signer *signer = NULL;
    osscb_error *error = NULL;
    osscb_signer_options_set_version(options, v4 ? OSSCB_SIGNATURE_VERSION_V4 : OSSCB_SIGNATURE_VERSION_V1);
    if (v4) {
        osscb_signer_options_set_region(options, text_of(vector, "region"));
        osscb_signer_options_set_product(options, text_of(vector, "product"));
    }
    if (json_text(credentials, "security_token") != NULL) {
        osscb_signer_options_set_security_token(options, text_of(credentials, "security_token"));
    }
    if (osscb_signer_new(text_of(credentials, "access_key_id"), text_of(credentials, "access_key_secret"), options,
                         &signer, &error) != OSSCB_STATUS_OK) {
        test_fail("signer: %s", osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_signer_options_free(options);
    return signer;
}

static int64_t time_of(const json *vector) {
    const json *unix_time = json_get(json_get(vector, "time"), "unix");
    return unix_time == NULL ? 0 : strtoll(unix_time->text, NULL, 10);
}

static osscb_pair *pairs_of(const json *list, size_t *count) {
    osscb_pair *pairs = calloc(list->count + 1, sizeof *pairs);
    if (pairs == NULL) {
        abort();
    }
    *count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const json *pair = list->values[i].values;
        pairs[i].name = osscb_str_of(pair[0].text);
        pairs[i].value = osscb_str_of(pair[1].type == JSON_TEXT ? pair[1].text : NULL);
    }
    return pairs;
}

/* The request of a vector, and the arrays that it points to. */
typedef struct request {
    osscb_sign_request sign;
    osscb_pair *query;
    osscb_pair *headers;
    osscb_str *additional;
} request;

static request request_of(const json *vector) {
    const json *given = json_get(vector, "request");
    const json *additional = json_get(given, "additional_headers");
    request out = {OSSCB_SIGN_REQUEST_INIT, NULL, NULL, NULL};
    out.sign.method = text_of(given, "method");
    out.sign.bucket = text_of(given, "bucket");
    out.sign.key = text_of(given, "key");
    out.sign.query = out.query = pairs_of(json_get(given, "query"), &out.sign.query_count);
    out.sign.headers = out.headers = pairs_of(json_get(given, "headers"), &out.sign.headers_count);
    out.additional = calloc(additional->count + 1, sizeof *out.additional);
    for (size_t i = 0; i < additional->count; i++) {
        out.additional[i] = osscb_str_of(additional->values[i].text);
    }
    out.sign.additional_headers = out.additional;
    out.sign.additional_headers_count = additional->count;
    return out;
}

static void request_free(request *request) {
    free(request->query);
    free(request->headers);
    free(request->additional);
}

static const char *value_in(const osscb_pairs *pairs, const char *name) {
    for (size_t i = 0; i < osscb_pairs_count(pairs); i++) {
        if (strcmp(osscb_pairs_name(pairs, i), name) == 0) {
            return osscb_pairs_value(pairs, i);
        }
    }
    return NULL;
}

static bool lower_equal(const char *a, const char *b) {
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char c = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char d = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (c != d) {
            return false;
        }
    }
    return *a == *b;
}

/* Whether every expected pair is among ours, and we have no more than `extra` beyond them. */
static void same_headers(const char *id, const osscb_pairs *ours, const json *expected, size_t extra) {
    if (osscb_pairs_count(ours) != expected->count + extra) {
        test_fail("%s: %zu headers, not %zu", id, osscb_pairs_count(ours), expected->count + extra);
    }
    for (size_t i = 0; i < expected->count; i++) {
        const json *pair = expected->values[i].values;
        bool found = false;
        for (size_t j = 0; j < osscb_pairs_count(ours); j++) {
            found = found || (lower_equal(osscb_pairs_name(ours, j), pair[0].text) &&
                              strcmp(osscb_pairs_value(ours, j), pair[1].text) == 0);
        }
        if (!found) {
            test_fail("%s: no header %s: %s", id, pair[0].text, pair[1].text);
        }
    }
}

static void same_stages(const char *id, const json *expected, const char *canonical, const char *to_sign,
                        const char *signature) {
    bool same = CHECK_TEXT(to_sign, json_text(expected, "string_to_sign"));
    same = CHECK_TEXT(signature, json_text(expected, "signature")) && same;
    if (json_text(expected, "canonical_request") != NULL) {
        same = CHECK_TEXT(canonical, json_text(expected, "canonical_request")) && same;
    }
    if (!same) {
        test_fail("  in %s", id);
    }
}

static void check_header(const json *vector, bool v4) {
    const char *id = json_text(vector, "id");
    const json *expected = json_get(vector, "expected");
    osscb_signer *signer = signer_of(vector, v4);
    request request = request_of(vector);
    osscb_signed *done = NULL;
    osscb_error *error = NULL;
    if (osscb_signer_sign(signer, &request.sign, time_of(vector), &done, &error) == OSSCB_STATUS_OK) {
        const osscb_pairs *headers = osscb_signed_headers(done);
        const char *authorization = value_in(headers, "Authorization");
        same_stages(id, expected, osscb_signed_canonical_request(done), osscb_signed_string_to_sign(done),
                    osscb_signed_signature(done));
        same_headers(id, headers, json_get(expected, "signer_added_headers"), 1);
        if (v4) {
            CHECK(authorization != NULL && strstr(authorization, osscb_signed_signature(done)) != NULL);
        } else {
            CHECK_TEXT(authorization, json_text(expected, "authorization"));
        }
    } else {
        test_fail("%s: %s", id, osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_signed_free(done);
    request_free(&request);
    osscb_signer_free(signer);
}

static int hex_digit(char c) {
    const char *digits = "0123456789ABCDEF";
    const char *found = c == '\0' ? NULL : strchr(digits, c >= 'a' && c <= 'f' ? c - 32 : c);
    return found == NULL ? 0 : (int)(found - digits);
}

/* Decodes one part of a query in place, and gives where the next begins. */
static char *decode_until(char *text, const char *ends) {
    char *out = text;
    char *in = text;
    while (*in != '\0' && strchr(ends, *in) == NULL) {
        if (*in == '%') {
            *out++ = (char)(hex_digit(in[1]) * 16 + hex_digit(in[2]));
            in += 3;
        } else {
            *out++ = *in++;
        }
    }
    char *next = *in == '\0' ? in : in + 1;
    *out = '\0';
    return next;
}

static void same_query(const char *id, const char *url, const json *expected) {
    char *copy = malloc(strlen(url) + 1);
    size_t found = 0;
    size_t ours = 0;
    if (copy == NULL) {
        abort();
    }
    strcpy(copy, url);
    char *at = strchr(copy, '?');
    at = at == NULL ? copy + strlen(copy) : at + 1;
    while (*at != '\0') {
        char *name = at;
        size_t part = strcspn(at, "&");
        bool has_value = memchr(at, '=', part) != NULL;
        static char none[] = "";
        char *value = none;
        at = decode_until(name, has_value ? "=" : "&");
        if (has_value) {
            value = at;
            at = decode_until(value, "&");
        }
        ours++;
        for (size_t i = 0; i < expected->count; i++) {
            const json *pair = expected->values[i].values;
            const char *wanted = pair[1].type == JSON_TEXT ? pair[1].text : "";
            if (strcmp(pair[0].text, name) == 0 && strcmp(wanted, value) == 0) {
                found++;
                break;
            }
        }
    }
    if (found != expected->count || ours != expected->count) {
        test_fail("%s: query of %s: %zu of %zu parameters, %zu in all", id, url, found, expected->count, ours);
    }
    free(copy);
}

static osscb_addressing addressing_of(const char *name) {
    if (strcmp(name, "path") == 0) {
        return OSSCB_ADDRESSING_PATH;
    }
    return strcmp(name, "cname") == 0 ? OSSCB_ADDRESSING_CNAME : OSSCB_ADDRESSING_VIRTUAL;
}

static void check_url(const json *vector, bool v4) {
    const char *id = json_text(vector, "id");
    const json *expected = json_get(vector, "expected");
    const json *given = json_get(vector, "request");
    char endpoint[256];
    snprintf(endpoint, sizeof endpoint, "%s://%s", json_text(given, "scheme"), json_text(given, "endpoint"));
    osscb_signer *signer = signer_of(vector, v4);
    request request = request_of(vector);
    osscb_presigned *done = NULL;
    osscb_error *error = NULL;
    uint64_t expires = strtoull(json_get(vector, "expires_seconds")->text, NULL, 10);
    if (osscb_signer_presign(signer, &request.sign, osscb_str_of(endpoint),
                             addressing_of(json_text(given, "addressing")), expires, time_of(vector), &done,
                             &error) == OSSCB_STATUS_OK) {
        same_stages(id, expected, osscb_presigned_canonical_request(done), osscb_presigned_string_to_sign(done),
                    osscb_presigned_signature(done));
        same_query(id, osscb_presigned_url(done), json_get(expected, "query_pairs_decoded"));
        CHECK_TEXT(osscb_presigned_method(done), json_text(given, "method"));
        CHECK(osscb_presigned_headers(done) != NULL);
    } else {
        test_fail("%s: %s", id, osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_presigned_free(done);
    request_free(&request);
    osscb_signer_free(signer);
}

static void check_policy(const json *vector) {
    const char *id = json_text(vector, "id");
    const json *expected = json_get(json_get(vector, "expected"), "form_fields");
    osscb_signer *signer = signer_of(vector, strcmp(json_text(vector, "signature_version"), "v4") == 0);
    osscb_pairs *fields = NULL;
    osscb_error *error = NULL;
    if (osscb_signer_sign_policy(signer, text_of(vector, "policy_text"), time_of(vector), &fields, &error) ==
        OSSCB_STATUS_OK) {
        CHECK(osscb_pairs_count(fields) == expected->count);
        for (size_t i = 0; i < expected->count; i++) {
            if (!CHECK_TEXT(value_in(fields, expected->names[i]), expected->values[i].text)) {
                test_fail("  in %s", id);
            }
        }
    } else {
        test_fail("%s: %s", id, osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_pairs_free(fields);
    osscb_signer_free(signer);
}

static void signing_vectors_pass(void) {
    static const struct {
        const char *name;
        bool v4;
        bool url;
        size_t hard;
    } families[] = {
        {"v1_header", false, false, 123},
        {"v4_header", true, false, 75},
        {"v1_presign", false, true, 42},
        {"v4_presign", true, true, 41},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        json *file = family(families[i].name);
        const json *vectors = json_get(file, "vectors");
        size_t hard = 0;
        REQUIRE(vectors != NULL);
        for (size_t j = 0; j < vectors->count; j++) {
            if (is_hard(&vectors->values[j])) {
                hard++;
                (families[i].url ? check_url : check_header)(&vectors->values[j], families[i].v4);
            }
        }
        CHECK(hard == families[i].hard);
        json_free(file);
    }
    json *file = family("post_policy");
    const json *vectors = json_get(file, "vectors");
    REQUIRE(vectors != NULL && vectors->count == 22);
    for (size_t j = 0; j < vectors->count; j++) {
        check_policy(&vectors->values[j]);
    }
    json_free(file);
}

/* A callback's members, given to the setters. Gives NULL where there is no setter for what a member is:
 * C's types exclude it. The URL goes to `url`. */
static osscb_callback_options *options_of(const json *callback, const json *vars, osscb_str *url) {
    osscb_callback_options *options = osscb_callback_options_new();
    bool known = callback != NULL && callback->type == JSON_OBJECT;
    *url = osscb_str_of("");
    /* A policy says all but the variables. */
    if (json_get(callback, "callbackPolicy") == NULL) {
        osscb_callback_options_set_sni(options, false);
    }
    for (size_t i = 0; known && i < callback->count; i++) {
        const char *name = callback->names[i];
        const json *value = &callback->values[i];
        osscb_str text = value->type == JSON_TEXT ? osscb_str_of(value->text) : OSSCB_NO_STR;
        if (value->type == JSON_NULL) {
            continue;
        }
        if (strcmp(name, "callbackSNI") == 0 && value->type == JSON_BOOL) {
            osscb_callback_options_set_sni(options, value->boolean);
        } else if (strcmp(name, "additionalHeaders") == 0 && value->type == JSON_OBJECT) {
            for (size_t j = 0; j < value->count; j++) {
                osscb_callback_options_add_header(options, osscb_str_of(value->names[j]),
                                                  osscb_str_of(value->values[j].text));
            }
        } else if (text.ptr == NULL) {
            known = false;
        } else if (strcmp(name, "callbackUrl") == 0 || strcmp(name, "url") == 0) {
            *url = text;
        } else if (strcmp(name, "callbackBody") == 0 || strcmp(name, "body") == 0) {
            osscb_callback_options_set_body(options, text);
        } else if (strcmp(name, "callbackHost") == 0 || strcmp(name, "host") == 0) {
            osscb_callback_options_set_host(options, text);
        } else if (strcmp(name, "callbackPolicy") == 0) {
            osscb_callback_options_set_policy(options, text);
        } else if (strcmp(value->text, "application/json") == 0) {
            osscb_callback_options_set_body_type(options, OSSCB_BODY_TYPE_JSON);
        } else if (strcmp(value->text, "application/x-www-form-urlencoded") == 0) {
            osscb_callback_options_set_body_type(options, OSSCB_BODY_TYPE_FORM);
        } else {
            known = false;
        }
    }
    for (size_t i = 0; known && vars != NULL && i < vars->count; i++) {
        const json *value = &vars->values[i];
        known = value->type != JSON_OBJECT && value->type != JSON_LIST;
        /* The caller turns numbers and booleans into text: variables are text by their type. */
        const char *text = value->type == JSON_BOOL ? (value->boolean ? "true" : "false") : value->text;
        osscb_callback_options_add_var(options, osscb_str_of(vars->names[i]), osscb_str_of(text));
    }
    if (!known) {
        osscb_callback_options_free(options);
        return NULL;
    }
    return options;
}

static json *parsed(const char *text) {
    return text == NULL ? NULL : json_parse(text, strlen(text));
}

/* Only a running OSS can tell, and an emulator on loopback must be reachable. */
static bool beyond_building(const char *id) {
    return strcmp(id, "url-localhost") == 0 || strcmp(id, "url-private") == 0;
}

static void check_validity(const json *vector, size_t *accepted, size_t *refused) {
    const char *id = json_text(vector, "id");
    const json *expected = json_get(vector, "expected");
    const char *vars_text = json_text(vector, "callback_var_json_text");
    json *callback_json = parsed(json_text(vector, "callback_json_text"));
    json *vars = parsed(vars_text);
    osscb_str url = OSSCB_NO_STR;
    bool readable = vars_text == NULL || vars != NULL;
    osscb_callback_options *options = readable ? options_of(callback_json, vars, &url) : NULL;
    if (options != NULL && !beyond_building(id)) {
        osscb_callback *callback = NULL;
        osscb_error *error = NULL;
        bool valid = json_get(expected, "valid")->boolean;
        osscb_status status = osscb_callback_new(url, options, &callback, &error);
        bool right = CHECK((status == OSSCB_STATUS_OK) == valid);
        *(valid ? accepted : refused) += 1;
        if (!valid) {
            right = CHECK(status == OSSCB_STATUS_INVALID_ARGUMENT) && right;
            right = CHECK_TEXT(osscb_error_ec(error), json_text(expected, "ec")) && right;
        }
        if (!right) {
            test_fail("  in %s: %s", id, osscb_error_message(error));
        }
        osscb_error_free(error);
        osscb_callback_free(callback);
    }
    osscb_callback_options_free(options);
    json_free(vars);
    json_free(callback_json);
}

/* Where an SDK's way is not ours: tests/rust/tests/all/callback_vectors.rs says what we do instead. */
static bool is_quirk(const char *id) {
    static const char *const quirks[] = {"ali-oss-url-space", "ali-oss-url-unicode", "ali-oss-url-already-encoded",
                                         "ali-oss-url-reserved", "ali-oss-var-prefixed-key"};
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) {
        if (strcmp(id, quirks[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_encoding(const json *vector) {
    const char *id = json_text(vector, "id");
    const json *input = json_get(vector, "sdk_input");
    const json *expected = json_get(vector, "expected");
    const json *given = json_get(input, "callback");
    const json *vars = json_get(input, given != NULL ? "callback_var" : "customValue");
    json members = {0};
    if (given == NULL) {
        /* ali-oss has the variables among the members: leave them to `vars`. */
        members = *input;
        given = &members;
        for (size_t i = 0; i < input->count; i++) {
            if (strcmp(input->names[i], "customValue") == 0) {
                members.count = i;
            }
        }
    }
    osscb_str url = OSSCB_NO_STR;
    osscb_callback_options *options = options_of(given, vars, &url);
    osscb_callback *callback = NULL;
    osscb_error *error = NULL;
    REQUIRE(options != NULL);
    if (osscb_callback_new(url, options, &callback, &error) == OSSCB_STATUS_OK) {
        json *ours = parsed(osscb_callback_json(callback));
        json *our_vars = parsed(osscb_callback_vars_json(callback));
        const json *theirs = json_get(expected, "callback_json");
        const json *their_vars = json_get(expected, "callback_var_json");
        const json *sni = json_get(theirs, "callbackSNI");
        bool no_vars = their_vars == NULL || their_vars->type == JSON_NULL;
        bool right = CHECK(no_vars ? our_vars == NULL : json_equal(our_vars, their_vars));
        /* `callbackSNI: false` is OSS's default, and we leave it out. */
        if (sni != NULL && sni->type == JSON_BOOL && !sni->boolean) {
            right = CHECK(ours != NULL && theirs->count == ours->count + 1) && right;
            for (size_t i = 0; ours != NULL && i < ours->count; i++) {
                right = CHECK(json_equal(&ours->values[i], json_get(theirs, ours->names[i]))) && right;
            }
        } else {
            right = CHECK(json_equal(ours, theirs)) && right;
        }
        if (!right) {
            test_fail("  in %s: %s", id, osscb_callback_json(callback));
        }
        json_free(our_vars);
        json_free(ours);
    } else {
        test_fail("%s: %s", id, osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_callback_free(callback);
    osscb_callback_options_free(options);
}

static void callback_vectors_pass(void) {
    json *file = family("callback_validity");
    const json *vectors = json_get(file, "vectors");
    size_t accepted = 0;
    size_t refused = 0;
    size_t encoded = 0;
    REQUIRE(vectors != NULL);
    for (size_t i = 0; i < vectors->count; i++) {
        check_validity(&vectors->values[i], &accepted, &refused);
    }
    CHECK(accepted == 6 && refused == 6);
    json_free(file);
    file = family("callback_encoding");
    vectors = json_get(file, "vectors");
    REQUIRE(vectors != NULL);
    for (size_t i = 0; i < vectors->count; i++) {
        if (!is_quirk(json_text(&vectors->values[i], "id"))) {
            encoded++;
            check_encoding(&vectors->values[i]);
        }
    }
    CHECK(encoded == 15);
    json_free(file);
}

const test vector_tests[] = {
    TEST(signing_vectors_pass),
    TEST(callback_vectors_pass),
};
const size_t vector_tests_count = sizeof vector_tests / sizeof *vector_tests;
