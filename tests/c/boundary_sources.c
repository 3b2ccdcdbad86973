/* What C allows to go wrong with sources, functions and completion queues. Runs without the testbed. */
#define _POSIX_C_SOURCE 200809L

#include "boundary.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void missing_sources_functions_and_queues_are_refused(void) {
    stream unread = {0};
    osscb_client *client = local_client(9);
    osscb_callback *callback = any_callback();
    osscb_source *source = NULL;
    osscb_reply *reply = NULL;
    osscb_completions *queue = osscb_completions_new();
    osscb_completion end = {0, NULL, NULL, OSSCB_STATUS_OK};
    size_t count = 7;
    osscb_str key = OSSCB_STR("a");
    REFUSED(osscb_source_of_memory(NULL, 5, release_stream, &unread, &source, &error), "data", "NULL");
    REFUSED(osscb_source_of_memory("data", SIZE_MAX, NULL, NULL, &source, &error), "data", "bytes long");
    REFUSED(osscb_source_of_memory("data", 4, release_stream, &unread, NULL, &error), "source", "NULL");
    REFUSED(osscb_source_of_path(OSSCB_NO_STR, &source, &error), "path", "empty");
    REFUSED(osscb_source_of_path(key, NULL, &error), "source", "NULL");
    REFUSED(osscb_source_of_fd(-1, &source, &error), "fd", "-1");
    REFUSED(osscb_source_of_fd(123456, &source, &error), "fd", "123456");
    REFUSED(osscb_source_of_function(NULL, 5, release_stream, &unread, &source, &error), "read", "NULL");
    REFUSED(osscb_source_of_function(read_stream, 5, release_stream, &unread, NULL, &error), "source", "NULL");
    CHECK(source == NULL && unread.released == 0);
    REFUSED(osscb_put_source_with_callback(client, BUCKET, key, NULL, callback, NULL, NULL, &reply, &error), "source",
            "NULL");
    REFUSED(osscb_upload_file_with_callback(client, BUCKET, key, NULL, callback, NULL, NULL, NULL, NULL, &reply, &error),
            "source", "NULL");
    REFUSED(osscb_start_put_object_with_callback(client, BUCKET, key, "data", 4, callback, NULL, NULL, NULL, 1, &error),
            "completions", "NULL");
    REFUSED(osscb_start_put_object_with_callback(client, BUCKET, key, NULL, 4, callback, NULL, NULL, queue, 1, &error),
            "data", "NULL");
    REFUSED(osscb_start_put_source_with_callback(NULL, BUCKET, key, NULL, callback, NULL, NULL, queue, 1, &error),
            "client", "NULL");
    REFUSED(osscb_start_upload_file_with_callback(client, BUCKET, key, NULL, callback, NULL, NULL, NULL, NULL, queue, 1,
                                                  &error),
            "source", "NULL");
    /* What was not started leaves no end. */
    CHECK(osscb_completions_pending(queue) == 0);
    REFUSED(osscb_completions_wait(NULL, &end, 1, 0, &count, &error), "queue", "NULL");
    REFUSED(osscb_completions_wait(queue, NULL, 1, 0, &count, &error), "completions", "NULL");
    REFUSED(osscb_completions_wait(queue, &end, 1, 0, NULL, &error), "count", "NULL");
    REFUSED(osscb_completions_wait(queue, &end, 0, 0, &count, &error), "capacity", "0");
    CHECK(reply == NULL && count == 7);
    osscb_source_free(NULL);
    osscb_upload_options_free(NULL);
    osscb_completions_close(NULL);
    CHECK(osscb_completions_pending(NULL) == 0);
    osscb_completions_free(NULL);
    osscb_failure_set(NULL, OSSCB_STR("a"));
    osscb_credentials_set(NULL, key, key, OSSCB_NO_STR, OSSCB_NEVER);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void a_missing_credentials_function_is_refused(void) {
    stream context = {0};
    osscb_client *client = NULL;
    osscb_client_options *options = osscb_client_options_new();
    osscb_client_options_set_endpoint(options, OSSCB_STR("http://127.0.0.1:9"));
    osscb_client_options_set_region(options, OSSCB_STR("cn-hangzhou"));
    osscb_client_options_set_credentials_function(options, NULL, release_stream, &context);
    REFUSED(osscb_client_new(options, &client, &error), "credentials_function", "NULL");
    CHECK(context.released == 1);
    osscb_client_options_set_credentials_function(NULL, NULL, release_stream, &context);
    CHECK(context.released == 2);
    osscb_client_options_free(options);
}

static void a_stream_is_used_once_but_a_refused_call_does_not_use_it(void) {
    stream stream = {0};
    stream.size = 100;
    osscb_client *client = local_client(hasty_server());
    osscb_callback *callback = any_callback();
    osscb_source *source = source_of(&stream, 100);
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    REFUSED(osscb_put_source_with_callback(client, OSSCB_STR("No Bucket"), OSSCB_STR("a"), source, callback, NULL, NULL,
                                           &reply, &error),
            "bucket", "");
    CHECK(stream.reads == 0 && stream.released == 0);
    CHECK(osscb_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, NULL, &reply, &error) ==
          OSSCB_STATUS_SERVICE);
    osscb_error_free(error);
    error = NULL;
    CHECK(stream.at == 100 && stream.released == 1);
    CHECK(osscb_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, NULL, &reply, &error) ==
          OSSCB_STATUS_SOURCE);
    CHECK(strstr(osscb_error_message(error), "used up") != NULL);
    osscb_error_free(error);
    osscb_source_free(source);
    CHECK(stream.released == 1);
    /* One that nobody reads is let go when it is freed. */
    struct stream unread = {0};
    osscb_source_free(source_of(&unread, OSSCB_UNKNOWN));
    CHECK(unread.reads == 0 && unread.released == 1);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void cancel_soon(void *argument) {
    sleep_ms(50);
    osscb_cancel_now(argument);
}

/* The stream lies on the stack: were it read once the call has returned, the tests under AddressSanitizer
 * and valgrind would tell. */
static void a_call_returns_when_nothing_reads_its_stream_any_more(void) {
    osscb_client *client = local_client(silent_server());
    osscb_callback *callback = any_callback();
    osscb_upload_options *options = osscb_upload_options_new();
    osscb_upload_options_set_timeout_ms(options, 5000);
    for (int round = 0; round < 4; round++) {
        stream stream = {0};
        stream.size = (size_t)1 << 40;
        stream.pause_ms = 200;
        osscb_cancel *cancel = osscb_cancel_new();
        worker *other = start(cancel_soon, cancel);
        osscb_source *source = source_of(&stream, round % 2 == 0 ? stream.size : OSSCB_UNKNOWN);
        outcome out = {OSSCB_STATUS_OK, NULL, NULL};
        if (round < 2) {
            out = upload(client, "a", source, callback, options, cancel, NULL, NULL);
        } else {
            out.status = osscb_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, cancel,
                                                        &out.reply, &out.error);
            osscb_source_free(source);
        }
        CHECK(out.status == OSSCB_STATUS_CANCELLED || out.status == OSSCB_STATUS_INVALID_ARGUMENT);
        CHECK(stream.released == 1);
        memset(&stream, 0xff, sizeof stream);
        finish(other);
        release(&out);
        osscb_cancel_free(cancel);
    }
    osscb_upload_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void sources_outlive_their_handles_and_queues(void) {
    uint64_t before = osscb_live_handles();
    osscb_client *client = local_client(silent_server());
    osscb_callback *callback = any_callback();
    osscb_completions *queue = osscb_completions_new();
    osscb_cancel *cancel = osscb_cancel_new();
    stream stream = {0};
    stream.size = 1 << 20;
    osscb_source *source = source_of(&stream, stream.size);
    osscb_error *error = NULL;
    CHECK(osscb_start_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, cancel, queue, 1,
                                               &error) == OSSCB_STATUS_OK);
    /* Another call cannot have it. */
    CHECK(osscb_start_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, cancel, queue, 2,
                                               &error) == OSSCB_STATUS_SOURCE);
    osscb_error_free(error);
    osscb_source_free(source);
    osscb_callback_free(callback);
    osscb_client_free(client);
    osscb_completions_free(queue);
    osscb_cancel_now(cancel);
    osscb_cancel_free(cancel);
    for (int i = 0; i < 2000 && (*(volatile int *)&stream.released == 0 || osscb_live_handles() > before); i++) {
        sleep_ms(10);
    }
    CHECK(stream.released == 1);
    CHECK(osscb_live_handles() == before);
}

const test source_boundary_tests[] = {
    TEST(missing_sources_functions_and_queues_are_refused),
    TEST(a_missing_credentials_function_is_refused),
    TEST(a_stream_is_used_once_but_a_refused_call_does_not_use_it),
    TEST(a_call_returns_when_nothing_reads_its_stream_any_more),
    TEST(sources_outlive_their_handles_and_queues),
};
const size_t source_boundary_tests_count = sizeof source_boundary_tests / sizeof *source_boundary_tests;
