/* The receiving side: what the application server at /echo got, verified and understood. */
#include "received.h"
#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys that a vector serves, and what was asked for. */
typedef struct served {
    const json *keys;
    int asked;
} served;

static bool serve_key(void *context, const char *url, osscb_key *key, osscb_failure *failure) {
    served *self = context;
    self->asked++;
    for (size_t i = 0; i < self->keys->count; i++) {
        const char *named = json_text(&self->keys->values[i], "url");
        const char *pem = json_text(&self->keys->values[i], "pem");
        /* Fetched by https, whatever the request names. */
        if (strncmp(url, "https:", 6) == 0 && strchr(named, ':') != NULL &&
            strcmp(strchr(url, ':'), strchr(named, ':')) == 0) {
            osscb_key_set(key, pem, strlen(pem));
            return true;
        }
    }
    osscb_failure_set(failure, OSSCB_STR("404"));
    return false;
}

/* What is expected: NULL for acceptance. Where OSS's samples contradict each other we refuse what no honest
 * key URL holds. */
static const char *expected_of(const json *vector) {
    static const char *const names[][2] = {
        {"ok", NULL},
        {"pub-key-url-not-allowed", OSSCB_REASON_KEY_URL_REFUSED},
        {"missing-pub-key-url", OSSCB_REASON_MISSING_KEY_URL},
        {"bad-authorization", OSSCB_REASON_BAD_AUTHORIZATION},
        {"signature-mismatch", OSSCB_REASON_WRONG_SIGNATURE},
    };
    const char *reason = json_text(json_get(vector, "expected"), "reason");
    if (strcmp(json_text(vector, "id"), "key-url-dotdot-after-prefix") == 0) {
        return OSSCB_REASON_KEY_URL_REFUSED;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], reason) == 0) {
            return names[i][1];
        }
    }
    test_fail("unheard-of reason %s", reason);
    return NULL;
}

static size_t base64_decoded(const char *text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = 0;
    unsigned long bits = 0;
    int count = 0;
    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (unsigned long)(strchr(digits, *text) - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[len++] = (char)(bits >> count & 0xff);
        }
    }
    return len;
}

static void check_vector(const json *vector) {
    const json *given = json_get(vector, "request");
    const char *encoded = json_text(given, "body_base64");
    const char *expected = expected_of(vector);
    char *body = malloc(strlen(encoded) + 1);
    served keys = {json_get(vector, "served_public_keys"), 0};
    REQUIRE(body != NULL);
    osscb_str bytes = {body, base64_decoded(encoded, body)};
    received request = request_in(given, "request_target", bytes);
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_set_fetch_key(options, serve_key, NULL, &keys);
    osscb_verifier *verifier = verifier_of(options);
    verdict out = verify(verifier, &request);
    bool right = expected == NULL ? accepted(&out) && CHECK(keys.asked == 1) : refused(&out, expected);
    if (expected != NULL && strcmp(expected, OSSCB_REASON_KEY_URL_REFUSED) == 0) {
        right = CHECK(keys.asked == 0) && right;
    }
    if (!right) {
        test_fail("  in %s", json_text(vector, "id"));
    }
    dismiss(&out);
    osscb_verifier_free(verifier);
    free(body);
}

static void verify_vectors_pass(void) {
    char path[1024];
    snprintf(path, sizeof path, "%s/callback_verify.json", testbed("OSS_CALLBACK_VECTORS"));
    json *file = json_read_file(path);
    const json *vectors = json_get(file, "vectors");
    REQUIRE(vectors != NULL && vectors->count >= 45);
    for (size_t i = 0; i < vectors->count; i++) {
        check_vector(&vectors->values[i]);
    }
    json_free(file);
}

static osscb_callback *with_body(const char *body) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_set_body(options, osscb_str_of(body));
    osscb_callback_options_add_var(options, OSSCB_STR("order"), OSSCB_STR("n\xc2\xb0 42 & more"));
    osscb_callback_options_add_var(options, OSSCB_STR("s"), OSSCB_STR("nine"));
    osscb_callback_options_set_unchecked(options, true);
    return callback_to("/echo?a=1", options);
}

static void an_event_tells_all(const osscb_event *event, const char *etag) {
    osscb_number number = osscb_event_size(event);
    int64_t expiry = 7;
    CHECK_STR(osscb_event_bucket(event), "examplebucket");
    CHECK_STR(osscb_event_key(event), "dir/\xc3\xbc 1.txt");
    CHECK_STR(osscb_event_etag(event), etag);
    CHECK(number.kind == OSSCB_NUMBER_VALUE && number.value == 9 && number.text.ptr == NULL);
    number = osscb_event_crc64(event);
    CHECK(number.kind == OSSCB_NUMBER_VALUE && number.value == UINT64_C(11051210869376104954));
    CHECK_STR(osscb_event_mime_type(event), "text/plain");
    CHECK(osscb_event_request_id(event).len == 24);
    CHECK_STR(osscb_event_operation(event), "PutObject");
    CHECK_STR(osscb_event_client_ip(event), "127.0.0.1");
    CHECK_STR(osscb_event_vpc_id(event), "");
    CHECK_STR(osscb_event_content_md5(event), NULL);
    number = osscb_event_image_width(event);
    CHECK(number.kind == OSSCB_NUMBER_EMPTY && number.text.ptr == NULL);
    CHECK(osscb_event_image_height(event).kind == OSSCB_NUMBER_ABSENT);
    CHECK_STR(osscb_event_image_format(event), NULL);
    CHECK_STR(osscb_event_variable(event, OSSCB_STR("order")), "n\xc2\xb0 42 & more");
    CHECK_STR(osscb_event_variable(event, OSSCB_STR("x:order")), "n\xc2\xb0 42 & more");
    CHECK_STR(osscb_event_variable(event, OSSCB_STR("other")), NULL);
    CHECK(osscb_event_variable_count(event) == 1);
    CHECK_STR(osscb_event_variable_name(event, 0), "order");
    CHECK_STR(osscb_event_variable_value(event, 0), "n\xc2\xb0 42 & more");
    CHECK_STR(osscb_event_variable_name(event, 1), NULL);
    CHECK(osscb_event_field_count(event) == 12);
    CHECK_STR(osscb_event_field_name(event, 1), "object");
    CHECK_STR(osscb_event_field_text(event, 1), "dir/\xc3\xbc 1.txt");
    CHECK(osscb_event_field_kind(event, 1) == OSSCB_FIELD_TEXT);
    CHECK(osscb_event_field_kind(event, 12) == OSSCB_FIELD_NONE);
    CHECK_STR(osscb_event_seal_nonce(event), NULL);
    CHECK(!osscb_event_seal_expires_at(event, &expiry) && expiry == 7);
}

static void received_callback_is_verified(void) {
    osscb_client *client = client_of(NULL);
    osscb_verifier *verifier = verifier_of(trusting());
    json *echo = NULL;
    received request =
        receive(client, "dir/\xc3\xbc 1.txt", "123456789",
                with_body("bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&crc64=${crc64}"
                          "&mimeType=${mimeType}&reqId=${reqId}&operation=${operation}&clientIp=${clientIp}"
                          "&vpcId=${vpcId}&imageInfo.width=${imageInfo.width}&order=${x:order}"),
                &echo);
    verdict out = verify(verifier, &request);
    if (accepted(&out)) {
        an_event_tells_all(out.event, "25F9E794323B453885F5181F1B624D0B");
    }
    CHECK(osscb_verifier_verify_signature(verifier, request.method, request.target, request.headers,
                                          request.headers_count, request.body.ptr, request.body.len,
                                          NULL) == OSSCB_STATUS_OK);
    dismiss(&out);
    json_free(echo);
    request = receive(client, "a", "123456789", with_body("object=${object}&size=${x:s}&vpcId="), &echo);
    out = verify(verifier, &request);
    if (accepted(&out)) {
        CHECK(osscb_event_size(out.event).kind == OSSCB_NUMBER_INVALID);
        CHECK_STR(osscb_event_size(out.event).text, "nine");
        CHECK_STR(osscb_event_bucket(out.event), NULL);
        CHECK_STR(osscb_event_vpc_id(out.event), "");
    }
    dismiss(&out);
    json_free(echo);
    osscb_verifier_free(verifier);
    osscb_client_free(client);
}

/* Refused for `reason`; the message tells neither the signature nor the body. */
static void altered(osscb_verifier_options *options, const received *request, const char *reason) {
    osscb_verifier *verifier = verifier_of(options);
    verdict out = verify(verifier, request);
    if (refused(&out, reason)) {
        const char *message = osscb_error_message(out.error);
        CHECK(strstr(message, "object=") == NULL);
        for (size_t i = 0; i < request->headers_count; i++) {
            const char *value = request->headers[i].value.ptr;
            CHECK(strlen(value) < 80 || strstr(message, value) == NULL);
        }
    } else {
        test_fail("  it should be %s", reason);
    }
    dismiss(&out);
    osscb_verifier_free(verifier);
}

static void altered_callback_is_refused_with_a_reason(void) {
    osscb_client *client = client_of(NULL);
    json *echo = NULL;
    const received right = receive(client, "altered.txt", "123456789", callback_to("/echo?a=1", NULL), &echo);
    osscb_verifier_options *options = NULL;
    received request = right;
    request.body.len--;
    altered(trusting(), &request, OSSCB_REASON_WRONG_SIGNATURE);
    request = right;
    request.target = OSSCB_STR("/echo");
    altered(trusting(), &request, OSSCB_REASON_WRONG_SIGNATURE);
    request.target = OSSCB_STR("echo");
    altered(trusting(), &request, OSSCB_REASON_BAD_TARGET);
    request = right;
    request.method = OSSCB_STR("PUT");
    altered(trusting(), &request, OSSCB_REASON_WRONG_METHOD);
    request = right;
    set_header(&request, "authorization", OSSCB_NO_STR);
    altered(trusting(), &request, OSSCB_REASON_MISSING_AUTHORIZATION);
    request = right;
    set_header(&request, "authorization", OSSCB_STR("!"));
    altered(trusting(), &request, OSSCB_REASON_BAD_AUTHORIZATION);
    request = right;
    request.headers[request.headers_count].name = OSSCB_STR("Authorization");
    request.headers[request.headers_count++].value = OSSCB_STR("AAAA");
    altered(trusting(), &request, OSSCB_REASON_DUPLICATE_HEADER);
    request = right;
    set_header(&request, "x-oss-pub-key-url", OSSCB_STR("aHR0cDovL2V2aWwuZXhhbXBsZS9rLnBlbQ=="));
    altered(osscb_verifier_options_new(), &request, OSSCB_REASON_KEY_URL_REFUSED);
    options = trusting();
    osscb_verifier_options_set_max_body(options, 20);
    altered(options, &right, OSSCB_REASON_BODY_TOO_LARGE);
    options = trusting();
    osscb_verifier_options_add_bucket(options, OSSCB_STR("photos"));
    osscb_verifier_options_add_bucket(options, OSSCB_STR("videos"));
    altered(options, &right, OSSCB_REASON_WRONG_BUCKET);
    json_free(echo);
    osscb_client_free(client);
}

/* A key function and what it has seen. */
typedef struct keys {
    int asked;
    int released;
    bool fails;
    char url[256];
} keys;

static bool fetch_key(void *context, const char *url, osscb_key *key, osscb_failure *failure) {
    keys *self = context;
    self->asked++;
    snprintf(self->url, sizeof self->url, "%s", url);
    if (self->fails) {
        osscb_failure_set(failure, OSSCB_STR("the key store is closed"));
        return false;
    }
    osscb_str pem = emulator_key();
    osscb_key_set(key, pem.ptr, pem.len);
    return true;
}

static void release_keys(void *context) {
    ((keys *)context)->released++;
}

static osscb_verifier_options *fetching(keys *keys) {
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_set_fetch_key(options, fetch_key, release_keys, keys);
    return options;
}

static void key_function_replaces_the_fetching_never_the_rule(void) {
    osscb_client *client = client_of(NULL);
    keys good = {0, 0, false, ""};
    keys bad = {0, 0, true, ""};
    json *echo = NULL;
    received request = receive(client, "keys.txt", "123456789", callback_to("/echo", NULL), &echo);
    osscb_verifier *verifier = verifier_of(fetching(&good));
    set_header(&request, "x-oss-pub-key-url", OSSCB_STR("aHR0cDovL2V2aWwuZXhhbXBsZS9rLnBlbQ=="));
    verdict out = verify(verifier, &request);
    refused(&out, OSSCB_REASON_KEY_URL_REFUSED);
    CHECK(good.asked == 0);
    dismiss(&out);
    set_header(&request, "x-oss-pub-key-url",
               OSSCB_STR("aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="));
    for (int i = 0; i < 3; i++) {
        out = verify(verifier, &request);
        accepted(&out);
        dismiss(&out);
    }
    CHECK(good.asked == 1 && good.released == 0);
    CHECK_TEXT(good.url, "https://gosspublic.alicdn.com/callback_pub_key_v1.pem");
    osscb_verifier_free(verifier);
    CHECK(good.released == 1);
    verifier = verifier_of(fetching(&bad));
    out = verify(verifier, &request);
    refused(&out, OSSCB_REASON_KEY_UNAVAILABLE);
    CHECK(strstr(osscb_error_message(out.error), "the key store is closed") != NULL);
    dismiss(&out);
    osscb_verifier_free(verifier);
    CHECK(bad.asked == 1 && bad.released == 1);
    json_free(echo);
    osscb_client_free(client);
}

/* A verification or an error of its kind, and neither a crash nor a leak. */
static void survives(const osscb_verifier *verifier, const received *request) {
    verdict out = verify(verifier, request);
    CHECK(out.status == OSSCB_STATUS_OK || out.status == OSSCB_STATUS_VERIFICATION);
    dismiss(&out);
}

/* The same of a body alone, which gets as far as a signed one. */
static void understood_or_not(const char *body, size_t len) {
    for (int type = OSSCB_BODY_TYPE_FORM; type <= OSSCB_BODY_TYPE_JSON; type++) {
        osscb_event *event = NULL;
        osscb_error *error = NULL;
        osscb_status status =
            osscb_event_parse(body, len, (osscb_body_type)type, OSSCB_NO_STR, &event, &error);
        CHECK(status == OSSCB_STATUS_OK || status == OSSCB_STATUS_VERIFICATION);
        for (size_t i = 0; i < osscb_event_field_count(event); i++) {
            osscb_str text = osscb_event_field_text(event, i);
            CHECK(text.ptr != NULL && text.ptr[text.len] == '\0');
        }
        osscb_event_free(event);
        osscb_error_free(error);
    }
}

static void hostile_callbacks_are_refused_without_harm(void) {
    static const osscb_str rubbish[] = {
        {"", 0}, {NULL, 0}, {"\xff\xfe\x80", 3}, {"/\0/", 3}, {"/%", 2}, {"/%zz?%", 6}, {"http://", 7}, {"?", 1},
        {"x:\r\n=&", 6}, {"\xed\xa0\x80", 3}};
    osscb_client *client = client_of(NULL);
    osscb_verifier *verifier = verifier_of(trusting());
    json *echo = NULL;
    const received right = receive(client, "hostile.txt", "123456789", callback_to("/echo", NULL), &echo);
    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++) {
        received request = right;
        request.target = rubbish[i];
        survives(verifier, &request);
        request = right;
        request.method = rubbish[i];
        survives(verifier, &request);
        request = right;
        request.body = rubbish[i];
        survives(verifier, &request);
        set_header(&request, "authorization", rubbish[i].ptr == NULL ? OSSCB_STR("\0\0") : rubbish[i]);
        request.headers[request.headers_count].name = rubbish[i];
        request.headers[request.headers_count++].value = rubbish[i];
        survives(verifier, &request);
        understood_or_not(rubbish[i].ptr, rubbish[i].len);
    }
    size_t large = 4 * 1000 * 1000;
    char *many = malloc(large);
    REQUIRE(many != NULL);
    for (size_t i = 0; i < large; i++) {
        many[i] = "a=1&"[i % 4];
    }
    understood_or_not(many, large);
    memset(many, '[', large);
    understood_or_not(many, large);
    memset(many, '\0', large);
    understood_or_not(many, large);
    understood_or_not("size=1%00&object=%00", 20);
    free(many);

    /* A NUL does not cut a text short. */
    osscb_event *event = event_of("bucket=photos%00evil");
    CHECK(osscb_event_bucket(event).len == 11 && osscb_event_bucket(event).ptr[11] == '\0');
    CHECK(!osscb_str_equals(osscb_event_bucket(event), OSSCB_STR("photos")));
    osscb_event_free(event);
    json_free(echo);
    osscb_verifier_free(verifier);
    osscb_client_free(client);
}

const test verify_tests[] = {
    TEST(verify_vectors_pass),
    TEST(received_callback_is_verified),
    TEST(altered_callback_is_refused_with_a_reason),
    TEST(key_function_replaces_the_fetching_never_the_rule),
    TEST(hostile_callbacks_are_refused_without_harm),
};
const size_t verify_tests_count = sizeof verify_tests / sizeof *verify_tests;
