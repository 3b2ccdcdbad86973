/* Uploads that the caller moves on, and waits for by their sockets. */
#define _POSIX_C_SOURCE 200809L

#include "scenarios.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALLS = 16, MOST_TURNS = 1000 };

static osscb_call *begin_put(const osscb_client *client, const char *key, const void *data, size_t len,
                             const osscb_callback *callback, const osscb_cancel *cancel) {
    osscb_call *call = NULL;
    osscb_error *error = NULL;
    if (osscb_begin_put_object_with_callback(client, BUCKET, osscb_str_of(key), data, len, callback, NULL, cancel,
                                             &call, &error) != OSSCB_STATUS_OK) {
        test_fail("begin: %s", osscb_error_message(error));
        osscb_error_free(error);
    }
    return call;
}

/* Moves a call on once. Whether it has ended; what it came to is freed. */
static int advance(osscb_call *call, osscb_wait *wait, osscb_status *status) {
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    *status = osscb_call_advance(call, wait, &reply, &error);
    int ended = *status != OSSCB_STATUS_OK || reply != NULL;
    CHECK((*status == OSSCB_STATUS_OK) == (error == NULL));
    osscb_reply_free(reply);
    osscb_error_free(error);
    return ended;
}

/* Waits as it is told to, until the call has ended. How often it waited. */
static int to_the_end(osscb_call *call, osscb_status *status) {
    osscb_wait wait = {0};
    int turns = 0;
    while (!advance(call, &wait, status) && turns < MOST_TURNS) {
        struct pollfd socket = {wait.descriptor, POLLIN, 0};
        poll(&socket, 1, (int)wait.timeout_ms);
        turns++;
    }
    CHECK(turns < MOST_TURNS);
    return turns;
}

static void one_poll_waits_for_many_calls(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/3000", NULL);
    osscb_call *calls[CALLS];
    struct pollfd sockets[CALLS];
    int left = CALLS;
    long begun = now_ms();
    for (int i = 0; i < CALLS; i++) {
        osscb_wait wait = {0};
        osscb_status status;
        calls[i] = begin_put(client, "moved.txt", "Hello OSS", 9, callback, NULL);
        REQUIRE(calls[i] != NULL);
        CHECK(!advance(calls[i], &wait, &status) && wait.attached == NULL);
        CHECK(wait.timeout_ms > 1000 && wait.timeout_ms < 3600000);
        sockets[i] = (struct pollfd){wait.descriptor, POLLIN, 0};
    }
    /* None has waited for its answer. */
    CHECK(now_ms() - begun < 2900);
    while (left > 0 && poll(sockets, CALLS, 30000) > 0) {
        for (int i = 0; i < CALLS; i++) {
            osscb_wait wait;
            osscb_status status;
            if (sockets[i].fd >= 0 && sockets[i].revents != 0 && advance(calls[i], &wait, &status)) {
                CHECK(status == OSSCB_STATUS_OK);
                sockets[i].fd = -1;
                left--;
            }
        }
    }
    CHECK(left == 0);
    CHECK(now_ms() - begun > 2900 && now_ms() - begun < 3000 * CALLS / 2);
    for (int i = 0; i < CALLS; i++) {
        osscb_call_free(calls[i]);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void a_moved_call_gives_the_reply_or_tells_why_it_failed(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *good = callback_to("/ok", NULL), *bad = callback_to("/status/500", NULL);
    osscb_call *call = begin_put(client, "moved.txt", "Hello OSS", 9, good, NULL);
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    osscb_wait wait = {0};
    osscb_status status;
    CHECK(osscb_call_finish(call, &reply, &error) == OSSCB_STATUS_OK);
    CHECK(osscb_reply_body(reply).len == 15 && memcmp(osscb_reply_body(reply).ptr, "{\"Status\":\"OK\"}", 15) == 0);
    osscb_reply_free(reply);
    reply = NULL;
    CHECK(osscb_call_advance(call, &wait, &reply, &error) == OSSCB_STATUS_INVALID_ARGUMENT && reply == NULL);
    CHECK_TEXT(osscb_error_field(error), "call");
    osscb_error_free(error);
    error = NULL;
    CHECK(osscb_call_finish(call, &reply, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    osscb_call_free(call);

    call = begin_put(client, "moved.txt", "Hello OSS", 9, bad, NULL);
    to_the_end(call, &status);
    CHECK(status == OSSCB_STATUS_CALLBACK_FAILED);
    osscb_call_free(call);

    call = NULL;
    CHECK(osscb_begin_put_object_with_callback(client, BUCKET, OSSCB_STR(""), "data", 4, good, NULL, NULL, &call,
                                               &error) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(call == NULL);
    CHECK_TEXT(osscb_error_field(error), "key");
    osscb_error_free(error);
    osscb_callback_free(good);
    osscb_callback_free(bad);
    osscb_client_free(client);
}

/* Each time the data is freed at once: valgrind and the sanitizers see whether anything still reads it. */
static void a_moved_call_lets_its_data_go_however_it_ends(void) {
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    const char *keys[] = {"json/a", "hang/a", "reset/a", "html/a"};
    for (int i = 0; i < 8; i++) {
        osscb_cancel *cancel = osscb_cancel_new();
        char *data = malloc(70000);
        REQUIRE(data != NULL);
        memset(data, 'x', 70000);
        osscb_call *call = begin_put(client, keys[i % 4], data, 70000, callback, cancel);
        osscb_wait wait;
        osscb_status status;
        if (!advance(call, &wait, &status) && i < 4) {
            long begun = now_ms();
            osscb_cancel_now(cancel);
            CHECK(advance(call, &wait, &status) && now_ms() - begun < HANG_MS / 10);
            CHECK(status == OSSCB_STATUS_CANCELLED || keys[i % 4][0] != 'h');
        }
        /* From the second round on it is given up half-way. */
        osscb_call_free(call);
        free(data);
        osscb_cancel_free(cancel);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void count_release(void *context) { ++*(int *)context; }

static void what_is_attached_stays_with_the_connection(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/50", NULL);
    int first = 0, second = 0, descriptor = -1;
    for (int i = 0; i < 4; i++) {
        osscb_call *call = begin_put(client, "moved.txt", "Hello OSS", 9, callback, NULL);
        osscb_error *error = NULL;
        osscb_wait wait;
        osscb_status status;
        CHECK(osscb_call_attach(call, &first, count_release, &error) == OSSCB_STATUS_INVALID_ARGUMENT);
        osscb_error_free(error);
        CHECK(!advance(call, &wait, &status));
        CHECK(wait.attached == (i == 0 ? NULL : i == 1 ? (void *)&first : (void *)&second));
        CHECK(i == 0 || wait.descriptor == descriptor);
        descriptor = wait.descriptor;
        if (i < 2) {
            CHECK(osscb_call_attach(call, i == 0 ? &first : &second, count_release, NULL) == OSSCB_STATUS_OK);
        }
        CHECK(to_the_end(call, &status) > 0 && status == OSSCB_STATUS_OK);
        CHECK(first == (i > 0) && second == 0);
        CHECK(osscb_call_attach(call, &first, count_release, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
        osscb_call_free(call);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
    CHECK(first == 1 && second == 1);
}

static void moving_without_what_it_takes_is_refused(void) {
    osscb_wait wait;
    osscb_reply *reply = NULL;
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/ok", NULL);
    osscb_call *call = begin_put(client, "moved.txt", "Hello OSS", 9, callback, NULL);
    CHECK(osscb_call_advance(NULL, &wait, &reply, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_call_advance(call, NULL, &reply, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_call_advance(call, &wait, NULL, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_call_finish(NULL, &reply, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_call_finish(call, NULL, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_call_attach(NULL, NULL, NULL, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_begin_put_object_with_callback(client, BUCKET, OSSCB_STR("a"), "data", 4, callback, NULL, NULL, NULL,
                                               NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(osscb_begin_put_object_with_callback(NULL, BUCKET, OSSCB_STR("a"), "data", 4, callback, NULL, NULL, &call,
                                               NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    osscb_call_free(call);
    osscb_call_free(NULL);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

const test in_flight_tests[] = {
    TEST(one_poll_waits_for_many_calls),
    TEST(a_moved_call_gives_the_reply_or_tells_why_it_failed),
    TEST(a_moved_call_lets_its_data_go_however_it_ends),
    TEST(what_is_attached_stays_with_the_connection),
    TEST(moving_without_what_it_takes_is_refused),
};
const size_t in_flight_tests_count = sizeof in_flight_tests / sizeof *in_flight_tests;
