/* What C allows to go wrong at the boundary is an error, not a crash; and lent data is given back. Runs
 * without the testbed. */
#define _POSIX_C_SOURCE 200809L

#include "boundary.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void is_refused(osscb_status status, osscb_error *error, const char *field, const char *word, int line) {
    if (status != OSSCB_STATUS_INVALID_ARGUMENT || osscb_error_kind(error) != status) {
        test_fail("line %d: status %d, error of kind %d", line, (int)status, (int)osscb_error_kind(error));
    }
    if (osscb_error_field(error) == NULL || strcmp(osscb_error_field(error), field) != 0) {
        test_fail("line %d: field %s", line, osscb_error_field(error) ? osscb_error_field(error) : "(null)");
    }
    if (strstr(osscb_error_message(error), word) == NULL) {
        test_fail("line %d: message %s", line, osscb_error_message(error));
    }
    osscb_error_free(error);
}

osscb_client *local_client(int port) {
    char endpoint[64];
    osscb_client *client = NULL;
    osscb_error *error = NULL;
    osscb_client_options *options = osscb_client_options_new();
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", port);
    osscb_client_options_set_endpoint(options, osscb_str_of(endpoint));
    osscb_client_options_set_region(options, OSSCB_STR("cn-hangzhou"));
    osscb_client_options_set_access_key_id(options, OSSCB_STR("id"));
    osscb_client_options_set_access_key_secret(options, OSSCB_STR("secret"));
    if (osscb_client_new(options, &client, &error) != OSSCB_STATUS_OK) {
        test_fail("client: %s", osscb_error_message(error));
    }
    osscb_client_options_free(options);
    return client;
}

osscb_callback *any_callback(void) {
    return callback_to("http://app.example.com/cb", NULL);
}

static void null_handles_and_places_are_refused(void) {
    osscb_client *client = local_client(9);
    osscb_callback *callback = any_callback();
    osscb_reply *reply = NULL;
    osscb_string text = {NULL, 0};
    osscb_signed *done = NULL;
    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    osscb_str key = OSSCB_STR("a");
    REFUSED(osscb_client_new(NULL, NULL, &error), "client", "NULL");
    REFUSED(osscb_callback_new(OSSCB_STR("http://a.example/"), NULL, NULL, &error), "callback", "NULL");
    REFUSED(osscb_callback_preview(NULL, NULL, 0, &text, &error), "callback", "NULL");
    REFUSED(osscb_callback_preview(callback, NULL, 1, &text, &error), "values", "NULL");
    REFUSED(osscb_callback_preview(callback, NULL, 0, NULL, &error), "text", "NULL");
    REFUSED(osscb_put_object_with_callback(NULL, BUCKET, key, NULL, 0, callback, NULL, NULL, &reply, &error),
            "client", "NULL");
    REFUSED(osscb_put_object_with_callback(client, BUCKET, key, NULL, 0, NULL, NULL, NULL, &reply, &error),
            "callback", "NULL");
    REFUSED(osscb_put_object_with_callback(client, BUCKET, key, NULL, 0, callback, NULL, NULL, NULL, &error),
            "reply", "NULL");
    REFUSED(osscb_put_object_with_callback(client, BUCKET, key, NULL, 5, callback, NULL, NULL, &reply, &error),
            "data", "NULL");
    REFUSED(osscb_put_object_with_callback(client, OSSCB_NO_STR, key, NULL, 0, callback, NULL, NULL, &reply, &error),
            "bucket", "");
    REFUSED(osscb_signer_sign(NULL, &request, OSSCB_NOW, &done, &error), "signer", "NULL");
    REFUSED(osscb_reply_json(NULL, NULL, &error), "json", "NULL");
    CHECK(reply == NULL && done == NULL && text.ptr == NULL);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void details_are_optional(void) {
    osscb_client *client = NULL;
    uint64_t before = osscb_live_handles();
    CHECK(osscb_client_new(NULL, NULL, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_callback_new(OSSCB_STR("not a url"), NULL, (osscb_callback **)&client, NULL) ==
          OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(client == NULL && osscb_live_handles() == before);
}

static void freeing_null_does_nothing(void) {
    osscb_string empty = {NULL, 0};
    osscb_client_options_free(NULL);
    osscb_put_options_free(NULL);
    osscb_callback_options_free(NULL);
    osscb_signer_options_free(NULL);
    osscb_client_free(NULL);
    osscb_callback_free(NULL);
    osscb_cancel_free(NULL);
    osscb_reply_free(NULL);
    osscb_error_free(NULL);
    osscb_signer_free(NULL);
    osscb_signed_free(NULL);
    osscb_presigned_free(NULL);
    osscb_pairs_free(NULL);
    osscb_string_free(NULL);
    osscb_string_free(&empty);
    osscb_string_free(&empty);
    CHECK(empty.ptr == NULL);
}

static void reading_null_gives_nothing(void) {
    uint64_t number = 7;
    osscb_bytes body = osscb_reply_body(NULL);
    CHECK(body.ptr != NULL && body.len == 0);
    CHECK_TEXT(osscb_reply_text(NULL), "");
    CHECK_TEXT(osscb_reply_etag(NULL), NULL);
    CHECK(!osscb_reply_crc64(NULL, &number) && !osscb_reply_server_time_ms(NULL, &number) && number == 7);
    CHECK_TEXT(osscb_error_message(NULL), "no error");
    CHECK(osscb_error_kind(NULL) == OSSCB_STATUS_OK);
    CHECK_TEXT(osscb_error_hint(NULL), NULL);
    CHECK(osscb_error_status(NULL) == 0 && !osscb_error_stored(NULL) && !osscb_error_is_retryable(NULL));
    CHECK(!osscb_error_crc64(NULL, &number) && number == 7);
    CHECK_TEXT(osscb_client_region(NULL), NULL);
    CHECK_TEXT(osscb_callback_json(NULL), NULL);
    CHECK(osscb_callback_warning_count(NULL) == 0 && osscb_callback_warning(NULL, 0) == NULL);
    CHECK(osscb_pairs_count(NULL) == 0 && osscb_pairs_name(NULL, 0) == NULL && osscb_pairs_value(NULL, 0) == NULL);
    CHECK(osscb_signed_headers(NULL) == NULL && osscb_presigned_url(NULL) == NULL);
    osscb_cancel_now(NULL);
    CHECK(!osscb_cancel_is_cancelled(NULL));
    osscb_client_options_set_region(NULL, OSSCB_STR("a"));
    osscb_put_options_add_meta(NULL, OSSCB_STR("a"), OSSCB_STR("b"));
    osscb_callback_options_add_url(NULL, OSSCB_STR("a"));
    osscb_signer_options_set_version(NULL, OSSCB_SIGNATURE_VERSION_V1);
}

static void text_that_is_not_utf8_is_refused_by_name(void) {
    static const char *const wrong[] = {"\xff", "a\x80", "\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"};
    osscb_client *client = local_client(9);
    osscb_callback *callback = any_callback();
    osscb_reply *reply = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        osscb_str text = osscb_str_of(wrong[i]);
        REFUSED(osscb_put_object_with_callback(client, text, OSSCB_STR("a"), NULL, 0, callback, NULL, NULL, &reply,
                                               &error),
                "bucket", "UTF-8");
        REFUSED(osscb_put_object_with_callback(client, BUCKET, text, NULL, 0, callback, NULL, NULL, &reply, &error),
                "key", "UTF-8");
    }
    osscb_put_options *options = osscb_put_options_new();
    osscb_put_options_set_content_type(options, OSSCB_STR("text/\xff"));
    osscb_put_options_set_content_type(options, OSSCB_STR("text/plain"));
    /* A setter cannot fail; what was wrong is told by the call, and a later right value does not hide it. */
    REFUSED(osscb_put_object_with_callback(client, BUCKET, OSSCB_STR("a"), NULL, 0, callback, options, NULL, &reply,
                                           &error),
            "content_type", "UTF-8");
    osscb_put_options_free(options);
    osscb_callback_options *wrong_var = osscb_callback_options_new();
    osscb_callback *none = NULL;
    osscb_callback_options_add_var(wrong_var, OSSCB_STR("a"), OSSCB_STR("\xfe"));
    REFUSED(osscb_callback_new(OSSCB_STR("http://a.example/"), wrong_var, &none, &error), "callback.vars", "UTF-8");
    osscb_callback_options_free(wrong_var);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void impossible_lengths_are_refused(void) {
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2 + 1, (size_t)1 << 40};
    osscb_client *client = local_client(9);
    osscb_callback *callback = any_callback();
    osscb_reply *reply = NULL;
    osscb_str key = OSSCB_STR("a");
    for (size_t i = 0; i < 3; i++) {
        osscb_str text = {"a", lengths[i]};
        REFUSED(osscb_put_object_with_callback(client, BUCKET, text, "data", 4, callback, NULL, NULL, &reply, &error),
                "key", "bytes long");
        REFUSED(osscb_put_object_with_callback(client, BUCKET, key, "data", lengths[i], callback, NULL, NULL, &reply,
                                               &error),
                "data", "bytes long");
    }
    osscb_string preview = {NULL, 0};
    osscb_pair pair = {OSSCB_STR("bucket"), OSSCB_STR("b")};
    REFUSED(osscb_callback_preview(callback, &pair, SIZE_MAX / 4, &preview, &error), "values", "elements");
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void numbers_that_no_enum_has_are_refused(void) {
    osscb_client_options *options = osscb_client_options_new();
    osscb_client *client = NULL;
    osscb_client_options_set_addressing(options, (osscb_addressing)17);
    REFUSED(osscb_client_new(options, &client, &error), "addressing", "17");
    osscb_client_options_free(options);
    CHECK_TEXT(osscb_status_name((osscb_status)12345), "other");
    CHECK_TEXT(osscb_status_name(OSSCB_STATUS_OK), "ok");
    CHECK_TEXT(osscb_status_name(OSSCB_STATUS_CALLBACK_FAILED), "callback_failed");
    CHECK_TEXT(osscb_status_name(OSSCB_STATUS_BUG), "bug");
}

static void a_request_of_another_size_is_refused(void) {
    osscb_signer_options *options = osscb_signer_options_new();
    osscb_signer *signer = NULL;
    osscb_signed *done = NULL;
    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    osscb_signer_options_set_region(options, OSSCB_STR("cn-hangzhou"));
    REFUSED(osscb_signer_new(OSSCB_STR("id"), OSSCB_STR("secret"), NULL, &signer, &error), "region", "");
    CHECK(osscb_signer_new(OSSCB_STR("id"), OSSCB_STR("secret"), options, &signer, NULL) == OSSCB_STATUS_OK);
    request.method = OSSCB_STR("GET");
    CHECK(osscb_signer_sign(signer, &request, 1702743657, &done, NULL) == OSSCB_STATUS_OK);
    osscb_signed_free(done);
    done = NULL;
    request.size = 0;
    REFUSED(osscb_signer_sign(signer, &request, OSSCB_NOW, &done, &error), "request.size", "OSSCB_SIGN_REQUEST_INIT");
    request.size = sizeof request;
    REFUSED(osscb_signer_sign(signer, &request, INT64_MAX, &done, &error), "time", "");
    REFUSED(osscb_signer_sign(signer, &request, -1, &done, &error), "time", "");
    REFUSED(osscb_signer_sign(signer, NULL, OSSCB_NOW, &done, &error), "request", "NULL");
    request.query_count = 3;
    REFUSED(osscb_signer_sign(signer, &request, OSSCB_NOW, &done, &error), "query", "NULL");
    osscb_signer_free(signer);
    osscb_signer_options_free(options);
}

static void warnings_can_be_read(void) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_set_body(options, OSSCB_STR("o=${object}"));
    osscb_callback_options_add_var(options, OSSCB_STR("unused"), OSSCB_STR("1"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", options);
    CHECK(osscb_callback_warning_count(callback) == 1);
    CHECK(osscb_callback_warning(callback, 0) != NULL && strstr(osscb_callback_warning(callback, 0), "x:unused"));
    CHECK(osscb_callback_warning(callback, 1) == NULL);
    osscb_callback_free(callback);
}

static void a_panic_is_caught_and_told(void) {
    osscb_error *error = NULL;
    CHECK(osscb_debug_panic(&error) == OSSCB_STATUS_BUG);
    CHECK(osscb_error_kind(error) == OSSCB_STATUS_BUG);
    CHECK(strstr(osscb_error_message(error), "asked for by osscb_debug_panic") != NULL);
    CHECK(strstr(osscb_error_message(error), "report") != NULL);
    osscb_error_free(error);
    CHECK(osscb_debug_panic(NULL) == OSSCB_STATUS_BUG);
}

/* The buffer is freed at once: under AddressSanitizer and valgrind a later read is an error. */
static outcome put_and_free(const osscb_client *client, size_t len, const osscb_cancel *cancel) {
    osscb_callback *callback = any_callback();
    char *data = malloc(len);
    outcome out = {OSSCB_STATUS_BUG, NULL, NULL};
    if (data != NULL) {
        memset(data, 'x', len);
        out = put(client, "lent.bin", data, len, callback, NULL, cancel);
        memset(data, 'y', len);
        free(data);
    }
    osscb_callback_free(callback);
    return out;
}

static void lent_data_is_given_back_when_the_answer_comes_early(void) {
    osscb_client *client = local_client(hasty_server());
    for (int round = 0; round < 3; round++) {
        outcome out = put_and_free(client, 32u << 20, NULL);
        CHECK(out.status == OSSCB_STATUS_SERVICE || out.status == OSSCB_STATUS_NETWORK);
        release(&out);
    }
    /* The client goes on, and nothing of the old data is sent. */
    outcome out = put_and_free(client, 10, NULL);
    CHECK(out.status == OSSCB_STATUS_SERVICE);
    CHECK(osscb_error_status(out.error) == 403);
    release(&out);
    osscb_client_free(client);
}

static void cancel_soon(void *argument) {
    sleep_ms(50);
    osscb_cancel_now(argument);
}

static void lent_data_is_given_back_when_the_call_is_cancelled(void) {
    osscb_client *client = local_client(silent_server());
    for (int round = 0; round < 3; round++) {
        osscb_cancel *cancel = osscb_cancel_new();
        worker *other = start(cancel_soon, cancel);
        outcome out = put_and_free(client, 32u << 20, cancel);
        CHECK(out.status == OSSCB_STATUS_CANCELLED);
        finish(other);
        release(&out);
        osscb_cancel_free(cancel);
    }
    osscb_client_free(client);
}

typedef struct freeing {
    osscb_client *client;
    int listener;
} freeing;

/* Not before the call has begun: it would find no client. The connection stays open to the program's end. */
static void free_when_it_calls(void *argument) {
    const freeing *self = argument;
    CHECK(accept(self->listener, NULL, NULL) >= 0);
    osscb_client_free(self->client);
}

static void a_client_may_be_freed_while_its_calls_run(void) {
    int port = 0;
    int listener = listening(&port);
    osscb_client *client = local_client(port);
    freeing freeing = {client, listener};
    osscb_put_options *options = osscb_put_options_new();
    osscb_callback *callback = any_callback();
    osscb_put_options_set_timeout_ms(options, 1000);
    worker *other = start(free_when_it_calls, &freeing);
    outcome out = put(client, "a", "data", 4, callback, options, NULL);
    CHECK(out.status == OSSCB_STATUS_TIMEOUT);
    finish(other);
    release(&out);
    osscb_callback_free(callback);
    osscb_put_options_free(options);
}

static void options_can_be_freed_and_used_again(void) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback *first = NULL;
    osscb_callback *second = NULL;
    osscb_callback_options_set_host(options, OSSCB_STR("one.example"));
    osscb_callback_options_add_url(options, OSSCB_STR("http://b.example/cb"));
    CHECK(osscb_callback_new(OSSCB_STR("http://a.example/cb"), options, &first, NULL) == OSSCB_STATUS_OK);
    osscb_callback_options_set_host(options, OSSCB_STR("two.example"));
    CHECK(osscb_callback_new(OSSCB_STR("http://a.example/cb"), options, &second, NULL) == OSSCB_STATUS_OK);
    osscb_callback_options_free(options);
    CHECK(strstr(osscb_callback_json(first), "one.example") != NULL);
    CHECK(strstr(osscb_callback_json(second), "two.example") != NULL);
    CHECK(strstr(osscb_callback_json(second), "http://a.example/cb;http://b.example/cb") != NULL);
    osscb_callback_free(second);
    osscb_callback_free(first);
}

int main(int argc, char **argv) {
    static const test own[] = {
        TEST(null_handles_and_places_are_refused),
        TEST(details_are_optional),
        TEST(freeing_null_does_nothing),
        TEST(reading_null_gives_nothing),
        TEST(text_that_is_not_utf8_is_refused_by_name),
        TEST(impossible_lengths_are_refused),
        TEST(numbers_that_no_enum_has_are_refused),
        TEST(a_request_of_another_size_is_refused),
        TEST(warnings_can_be_read),
        TEST(a_panic_is_caught_and_told),
        TEST(lent_data_is_given_back_when_the_answer_comes_early),
        TEST(lent_data_is_given_back_when_the_call_is_cancelled),
        TEST(a_client_may_be_freed_while_its_calls_run),
        TEST(options_can_be_freed_and_used_again),
    };
    enum { OWN = sizeof own / sizeof *own };
    test all[OWN + 64];
    signal(SIGPIPE, SIG_IGN);
    memcpy(all, own, sizeof own);
    memcpy(all + OWN, source_boundary_tests, source_boundary_tests_count * sizeof *all);
    memcpy(all + OWN + source_boundary_tests_count, receive_boundary_tests,
           receive_boundary_tests_count * sizeof *all);
    return test_main(argc, argv, all, OWN + source_boundary_tests_count + receive_boundary_tests_count);
}
