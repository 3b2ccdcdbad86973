#include "scenarios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void failed_callback_says_the_object_is_stored(void) {
    static const struct {
        const char *path;
        const char *cause;
        const char *ec;
        int32_t callback_status;
    } cases[] = {
        {"/status/500", OSSCB_CAUSE_BAD_STATUS, "0007-00000203", 500},
        {"/redirect", OSSCB_CAUSE_BAD_STATUS, "0007-00000203", 302},
        {"/reset", OSSCB_CAUSE_UNREACHABLE, "0007-00000203", 0},
        {NULL, OSSCB_CAUSE_UNREACHABLE, "0007-00000203", 0},
        {"/empty", OSSCB_CAUSE_BAD_CONTENT_LENGTH, "0007-00000204", 400},
        {"/text", OSSCB_CAUSE_NOT_JSON, "0007-00000205", 0},
        {"/bom", OSSCB_CAUSE_NOT_JSON, "0007-00000205", 0},
    };
    osscb_client *client = client_of(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        osscb_callback *callback = callback_to(cases[i].path ? cases[i].path : testbed("DEAD_URL"), NULL);
        outcome out = put(client, "failed.txt", "data", 4, callback, NULL, NULL);
        uint64_t crc64 = 0;
        CHECK(out.status == OSSCB_STATUS_CALLBACK_FAILED);
        CHECK(out.reply == NULL);
        CHECK(osscb_error_kind(out.error) == OSSCB_STATUS_CALLBACK_FAILED);
        CHECK(osscb_error_stored(out.error));
        CHECK(osscb_error_status(out.error) == 203);
        CHECK_TEXT(osscb_error_cause(out.error), cases[i].cause);
        CHECK_TEXT(osscb_error_ec(out.error), cases[i].ec);
        CHECK_TEXT(osscb_error_code(out.error), "CallbackFailed");
        CHECK_TEXT(osscb_error_etag(out.error), "8D777F385D3DFEC8815D20F7496026DC");
        CHECK(osscb_error_crc64(out.error, &crc64) && crc64 == UINT64_C(14062946763493764991));
        CHECK(osscb_error_callback_status(out.error) == cases[i].callback_status);
        CHECK(osscb_error_request_id(out.error) != NULL);
        CHECK(osscb_error_hint(out.error) != NULL &&
              strstr(osscb_error_message(out.error), osscb_error_hint(out.error)) != NULL);
        CHECK(!osscb_error_is_retryable(out.error));
        release(&out);
        osscb_callback_free(callback);
    }
    osscb_client_free(client);
}

static void wrong_secret_is_a_service_error(void) {
    osscb_client *client = client_with(NULL, "wr0ng-secret", NULL, OSSCB_SIGNATURE_VERSION_V4);
    osscb_callback *callback = callback_to("/ok", NULL);
    outcome out = put_text(client, "wrong-secret.txt", callback);
    CHECK(out.status == OSSCB_STATUS_SERVICE);
    CHECK(osscb_error_status(out.error) == 403);
    CHECK_TEXT(osscb_error_code(out.error), "SignatureDoesNotMatch");
    CHECK(osscb_error_request_id(out.error) != NULL);
    CHECK(osscb_error_string_to_sign(out.error) != NULL);
    CHECK(!osscb_error_stored(out.error));
    CHECK(strstr(osscb_error_message(out.error), "wr0ng-secret") == NULL);
    CHECK(strstr(osscb_error_message(out.error), "Signature=") == NULL);
    release(&out);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void refuses(const char *url, const char *body, const char *field, const char *ec) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback *callback = NULL;
    osscb_error *error = NULL;
    if (body != NULL) {
        osscb_callback_options_set_body(options, osscb_str_of(body));
    }
    CHECK(osscb_callback_new(osscb_str_of(url), options, &callback, &error) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(callback == NULL);
    CHECK_TEXT(osscb_error_field(error), field);
    CHECK_TEXT(osscb_error_ec(error), ec);
    osscb_error_free(error);
    osscb_callback_options_free(options);
}

static void invalid_callback_is_refused_before_anything_is_sent(void) {
    refuses("http://a.example/cb", "o=${objekt}", "callback.body", NULL);
    refuses("http://a.example/cb", "o=${x:missing}", "callback.body", NULL);
    refuses("http://a.example:port/cb", NULL, "callback.url", "0007-00000004");
    refuses("", NULL, "callback.url", "0007-00000004");
}

static void names_field(const osscb_client *client, const char *bucket, const char *key,
                        osscb_put_options *options, const char *field) {
    osscb_callback *callback = callback_to("/ok", NULL);
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    osscb_status status =
        osscb_put_object_with_callback(client, osscb_str_of(bucket), osscb_str_of(key), "data", 4, callback,
                                       options, NULL, &reply, &error);
    CHECK(status == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK_TEXT(osscb_error_field(error), field);
    CHECK(reply == NULL);
    osscb_error_free(error);
    osscb_reply_free(reply);
    osscb_callback_free(callback);
    osscb_put_options_free(options);
}

static void invalid_arguments_name_their_field(void) {
    /* Nobody listens there: whatever is sent is a network error. */
    osscb_client *client = client_of(testbed("DEAD_ENDPOINT"));
    osscb_put_options *options = NULL;
    names_field(client, "No_Bucket", "a", NULL, "bucket");
    names_field(client, "examplebucket", "", NULL, "key");
    names_field(client, "examplebucket", "/a", NULL, "key");
    options = osscb_put_options_new();
    osscb_put_options_set_traffic_limit(options, 1);
    names_field(client, "examplebucket", "a", options, "traffic_limit");
    options = osscb_put_options_new();
    osscb_put_options_add_meta(options, OSSCB_STR("name"), OSSCB_STR("line\r\nbreak: yes"));
    names_field(client, "examplebucket", "a", options, "metadata");
    options = osscb_put_options_new();
    osscb_put_options_add_header(options, OSSCB_STR("Authorization"), OSSCB_STR("mine"));
    names_field(client, "examplebucket", "a", options, "headers");
    options = osscb_put_options_new();
    osscb_put_options_set_timeout_ms(options, 0);
    names_field(client, "examplebucket", "a", options, "timeout");
    osscb_client_free(client);
}

static void damaged_data_is_an_integrity_error(void) {
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    outcome out = put_text(client, "wrong-crc/a", callback);
    CHECK(out.status == OSSCB_STATUS_INTEGRITY);
    CHECK(!osscb_error_is_retryable(out.error) && !osscb_error_stored(out.error));
    CHECK(osscb_error_etag(out.error) != NULL);
    release(&out);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void refused_connection_is_a_network_error(void) {
    osscb_client *client = client_of(testbed("DEAD_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    outcome out = put_text(client, "a", callback);
    CHECK(out.status == OSSCB_STATUS_NETWORK);
    CHECK(osscb_error_os_error(out.error) == ECONNREFUSED);
    CHECK(strstr(osscb_error_message(out.error), "127.0.0.1:") != NULL);
    CHECK(strstr(osscb_error_message(out.error), "http://") == NULL);
    CHECK(osscb_error_is_retryable(out.error));
    release(&out);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void timeout_is_reported(void) {
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_put_options *options = osscb_put_options_new();
    osscb_put_options_set_timeout_ms(options, 300);
    long begun = now_ms();
    outcome out = put(client, "hang/a", "data", 4, callback, options, NULL);
    CHECK(out.status == OSSCB_STATUS_TIMEOUT);
    CHECK(now_ms() - begun < HANG_MS / 2);
    release(&out);
    osscb_put_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

const test failure_tests[] = {
    TEST(failed_callback_says_the_object_is_stored),
    TEST(wrong_secret_is_a_service_error),
    TEST(invalid_callback_is_refused_before_anything_is_sent),
    TEST(invalid_arguments_name_their_field),
    TEST(damaged_data_is_an_integrity_error),
    TEST(refused_connection_is_a_network_error),
    TEST(timeout_is_reported),
};
const size_t failure_tests_count = sizeof failure_tests / sizeof *failure_tests;
