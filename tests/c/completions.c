/* Calls that are started and end in a completion queue. */
#define _POSIX_C_SOURCE 200809L

#include "scenarios.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 200, MOST = 32 };

static osscb_status start_put(const osscb_client *client, const char *key, const void *data, size_t len,
                              const osscb_callback *callback, const osscb_cancel *cancel,
                              const osscb_completions *queue, uint64_t tag) {
    osscb_error *error = NULL;
    osscb_status status = osscb_start_put_object_with_callback(client, BUCKET, osscb_str_of(key), data, len, callback,
                                                               NULL, cancel, queue, tag, &error);
    if (status != OSSCB_STATUS_OK) {
        test_fail("start: %s", osscb_error_message(error));
        osscb_error_free(error);
    }
    return status;
}

/* The next end; its reply and error are freed. */
static osscb_completion next(const osscb_completions *queue) {
    osscb_completion end = {UINT64_MAX, NULL, NULL, OSSCB_STATUS_BUG};
    size_t count = 0;
    CHECK(osscb_completions_wait(queue, &end, 1, 30000, &count, NULL) == OSSCB_STATUS_OK);
    CHECK(count == 1);
    osscb_reply_free(end.reply);
    osscb_error_free(end.error);
    return end;
}

static void one_thread_waits_for_hundreds_of_calls(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/400", NULL);
    osscb_completions *queue = osscb_completions_new();
    char *lent[CALLS];
    int ended = 0;
    long begun = now_ms();
    for (int i = 0; i < CALLS; i++) {
        lent[i] = malloc(9);
        REQUIRE(lent[i] != NULL);
        memcpy(lent[i], "Hello OSS", 9);
        start_put(client, "started.txt", lent[i], 9, callback, NULL, queue, (uint64_t)i);
    }
    CHECK(osscb_completions_pending(queue) == CALLS);
    while (ended < CALLS) {
        osscb_completion ends[MOST];
        size_t count = 0;
        if (osscb_completions_wait(queue, ends, MOST, 30000, &count, NULL) != OSSCB_STATUS_OK || count == 0) {
            test_fail("only %d of %d calls ended", ended, CALLS);
            break;
        }
        for (size_t i = 0; i < count; i++) {
            outcome out = {ends[i].status, ends[i].reply, ends[i].error};
            succeeded(&out);
            CHECK(ends[i].tag < CALLS && lent[ends[i].tag] != NULL);
            /* Each end is told once, and nothing reads the data any more. */
            free(lent[ends[i].tag]);
            lent[ends[i].tag] = NULL;
            release(&out);
        }
        ended += (int)count;
    }
    CHECK(now_ms() - begun < 400 * CALLS / 4);
    CHECK(osscb_completions_pending(queue) == 0);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

/* As an event loop does it: wait for the descriptor, fetch what there is, and wait again. */
static void a_descriptor_tells_when_there_is_something_to_fetch(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/100", NULL);
    osscb_completions *queue = osscb_completions_new();
    osscb_completion ends[MOST];
    struct pollfd waiting = {-1, POLLIN, 0};
    size_t count = 0, ended = 0;
    CHECK(osscb_completions_descriptor(NULL, &waiting.fd, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_completions_descriptor(queue, NULL, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    REQUIRE(osscb_completions_descriptor(queue, &waiting.fd, NULL) == OSSCB_STATUS_OK);
    CHECK(poll(&waiting, 1, 0) == 0);
    for (uint64_t i = 0; i < 20; i++) {
        start_put(client, "described.txt", "Hello OSS", 9, callback, NULL, queue, i);
    }
    while (ended < 20 && poll(&waiting, 1, 30000) == 1) {
        CHECK(osscb_completions_wait(queue, ends, MOST, 0, &count, NULL) == OSSCB_STATUS_OK);
        for (size_t i = 0; i < count; i++) {
            CHECK(ends[i].status == OSSCB_STATUS_OK);
            osscb_reply_free(ends[i].reply);
        }
        ended += count;
    }
    CHECK(ended == 20);
    CHECK(poll(&waiting, 1, 0) == 0);
    /* That nothing will come any more is told, too. */
    osscb_completions_close(queue);
    CHECK(poll(&waiting, 1, 0) == 1);
    CHECK(osscb_completions_wait(queue, ends, MOST, 0, &count, NULL) == OSSCB_STATUS_CANCELLED);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void a_started_call_that_fails_tells_why(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *refused = callback_to("/status/500", NULL);
    osscb_completions *queue = osscb_completions_new();
    osscb_completion end = {0, NULL, NULL, OSSCB_STATUS_OK};
    size_t count = 0;
    start_put(client, "a", "data", 4, refused, NULL, queue, 1);
    CHECK(osscb_completions_wait(queue, &end, 1, OSSCB_FOREVER, &count, NULL) == OSSCB_STATUS_OK);
    CHECK(count == 1 && end.tag == 1 && end.status == OSSCB_STATUS_CALLBACK_FAILED && end.reply == NULL);
    CHECK(osscb_error_kind(end.error) == end.status && osscb_error_stored(end.error));
    osscb_error_free(end.error);
    /* What the core refuses comes by the queue too. */
    start_put(client, "", "data", 4, refused, NULL, queue, 2);
    CHECK(osscb_completions_wait(queue, &end, 1, OSSCB_FOREVER, &count, NULL) == OSSCB_STATUS_OK);
    CHECK(end.tag == 2 && end.status == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK_TEXT(osscb_error_field(end.error), "key");
    osscb_error_free(end.error);
    osscb_completions_free(queue);
    osscb_callback_free(refused);
    osscb_client_free(client);
}

static void a_started_call_can_be_cancelled(void) {
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_completions *queue = osscb_completions_new();
    osscb_cancel *cancel = osscb_cancel_new();
    char *data = malloc(4);
    REQUIRE(data != NULL);
    memcpy(data, "data", 4);
    start_put(client, "hang/a", data, 4, callback, cancel, queue, 5);
    start_put(client, "json/a", "data", 4, callback, NULL, queue, 6);
    CHECK(next(queue).tag == 6);
    long begun = now_ms();
    osscb_cancel_now(cancel);
    osscb_completion end = next(queue);
    free(data);
    CHECK(end.tag == 5 && end.status == OSSCB_STATUS_CANCELLED);
    CHECK(now_ms() - begun < HANG_MS / 10);
    osscb_cancel_free(cancel);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

/* The server answers at once and reads no more: the connection must not keep the data. */
static void a_started_call_gives_its_data_back_when_the_answer_comes_early(void) {
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", hasty_server());
    osscb_client *client = client_of(endpoint);
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_completions *queue = osscb_completions_new();
    for (int round = 0; round < 4; round++) {
        size_t size = 32u << 20;
        unsigned char *data = counting(size);
        long begun = now_ms();
        start_put(client, "early.bin", data, size, callback, NULL, queue, (uint64_t)round);
        osscb_completion end = next(queue);
        CHECK(end.tag == (uint64_t)round);
        CHECK(end.status == OSSCB_STATUS_SERVICE || end.status == OSSCB_STATUS_NETWORK);
        CHECK(now_ms() - begun < 20000);
        memset(data, 'y', size);
        free(data);

        stream stream = {0};
        stream.size = size;
        outcome out = send_source(round % 2 == 0 ? BY_PUT : BY_STARTED_PUT, client, "early.bin",
                                  source_of(&stream, size), callback);
        CHECK(out.status == OSSCB_STATUS_SERVICE || out.status == OSSCB_STATUS_NETWORK);
        CHECK(stream.released == 1 && stream.at < size);
        release(&out);
    }
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void wait_to_the_end(void *argument) {
    const osscb_completions *queue = argument;
    osscb_completion ends[MOST];
    size_t count = 0;
    osscb_error *error = NULL;
    osscb_status status = OSSCB_STATUS_OK;
    while ((status = osscb_completions_wait(queue, ends, MOST, OSSCB_FOREVER, &count, &error)) == OSSCB_STATUS_OK) {
        for (size_t i = 0; i < count; i++) {
            CHECK(ends[i].status == OSSCB_STATUS_OK);
            osscb_reply_free(ends[i].reply);
            osscb_error_free(ends[i].error);
        }
    }
    CHECK(status == OSSCB_STATUS_CANCELLED);
    CHECK(strstr(osscb_error_message(error), "closed") != NULL);
    osscb_error_free(error);
}

static void a_closed_queue_gives_the_ends_of_calls_under_way(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/200", NULL);
    osscb_completions *queue = osscb_completions_new();
    worker *waiters[2];
    for (int i = 0; i < 8; i++) {
        start_put(client, "closed.txt", "data", 4, callback, NULL, queue, (uint64_t)i);
    }
    for (int i = 0; i < 2; i++) {
        waiters[i] = start(wait_to_the_end, queue);
    }
    osscb_completions_close(queue);
    osscb_completions_close(queue);
    osscb_error *error = NULL;
    CHECK(osscb_start_put_object_with_callback(client, BUCKET, OSSCB_STR("a"), "data", 4, callback, NULL, NULL, queue,
                                               9, &error) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK_TEXT(osscb_error_field(error), "completions");
    osscb_error_free(error);
    finish(waiters[0]);
    finish(waiters[1]);
    CHECK(osscb_completions_pending(queue) == 0);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void note_release(void *context) { *(volatile int *)context = 1; }

static void a_queue_may_be_freed_while_calls_are_under_way(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/100", NULL);
    osscb_completions *queue = osscb_completions_new();
    osscb_source *source = NULL;
    volatile int released = 0;
    static const char data[] = "data";
    CHECK(osscb_source_of_memory(data, 4, note_release, (void *)&released, &source, NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_start_put_source_with_callback(client, BUCKET, OSSCB_STR("a"), source, callback, NULL, NULL, queue, 1,
                                               NULL) == OSSCB_STATUS_OK);
    osscb_source_free(source);
    osscb_completions_free(queue);
    osscb_callback_free(callback);
    osscb_client_free(client);
    CHECK(!released);
    for (int i = 0; i < 1000 && !released; i++) {
        sleep_ms(10);
    }
    CHECK(released);
}

static void waiting_ends_when_its_time_is_over(void) {
    osscb_completions *queue = osscb_completions_new();
    osscb_completion end = {0, NULL, NULL, OSSCB_STATUS_OK};
    size_t count = 7;
    CHECK(osscb_completions_wait(queue, &end, 1, 0, &count, NULL) == OSSCB_STATUS_OK && count == 0);
    long begun = now_ms();
    count = 7;
    CHECK(osscb_completions_wait(queue, &end, 1, 50, &count, NULL) == OSSCB_STATUS_OK && count == 0);
    CHECK(now_ms() - begun >= 49);
    osscb_completions_close(queue);
    CHECK(osscb_completions_wait(queue, &end, 1, OSSCB_FOREVER, &count, NULL) == OSSCB_STATUS_CANCELLED);
    osscb_completions_free(queue);
}

/* Two calls, by a queue of their own. */
static bool two_started_calls_succeed(const osscb_client *client, const osscb_callback *callback) {
    osscb_completions *queue = osscb_completions_new();
    start_put(client, "fork.txt", "data", 4, callback, NULL, queue, 1);
    start_put(client, "fork.txt", "data", 4, callback, NULL, queue, 2);
    bool succeeded = next(queue).status == OSSCB_STATUS_OK;
    succeeded = next(queue).status == OSSCB_STATUS_OK && succeeded;
    osscb_completions_free(queue);
    return succeeded;
}

static void calls_can_be_started_after_fork(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/ok", NULL);
    int ends[2] = {-1, -1};
    char said = 0;
    CHECK(two_started_calls_succeed(client, callback));
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        said = two_started_calls_succeed(client, callback) ? 'y' : 'n';
        osscb_callback_free(callback);
        osscb_client_free(client);
        if (write(ends[1], &said, 1) == 1) {
            /* Another program, as valgrind would report what belongs to threads that only the parent has. */
            execlp("true", "true", (char *)NULL);
        }
        _exit(1);
    }
    int status = -1;
    CHECK(child > 0 && read(ends[0], &said, 1) == 1 && said == 'y');
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(two_started_calls_succeed(client, callback));
    close(ends[0]);
    close(ends[1]);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

const test completion_tests[] = {
    TEST(one_thread_waits_for_hundreds_of_calls),
    TEST(a_descriptor_tells_when_there_is_something_to_fetch),
    TEST(a_started_call_that_fails_tells_why),
    TEST(a_started_call_can_be_cancelled),
    TEST(a_started_call_gives_its_data_back_when_the_answer_comes_early),
    TEST(a_closed_queue_gives_the_ends_of_calls_under_way),
    TEST(a_queue_may_be_freed_while_calls_are_under_way),
    TEST(waiting_ends_when_its_time_is_over),
    TEST(calls_can_be_started_after_fork),
};
const size_t completion_tests_count = sizeof completion_tests / sizeof *completion_tests;
