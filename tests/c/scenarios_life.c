#define _POSIX_C_SOURCE 200809L

#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void cancel_soon(void *argument) {
    const osscb_cancel *cancel = argument;
    sleep_ms(100);
    osscb_cancel_now(cancel);
}

static void cancel_ends_the_call_promptly(void) {
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_cancel *cancel = osscb_cancel_new();
    CHECK(!osscb_cancel_is_cancelled(cancel));
    long begun = now_ms();
    worker *other = start(cancel_soon, cancel);
    outcome out = put(client, "hang/a", "data", 4, callback, NULL, cancel);
    CHECK(out.status == OSSCB_STATUS_CANCELLED);
    CHECK(now_ms() - begun < HANG_MS / 10);
    CHECK(osscb_cancel_is_cancelled(cancel));
    finish(other);
    release(&out);
    /* Cancelled before the call begins. */
    out = put(client, "json/a", "data", 4, callback, NULL, cancel);
    CHECK(out.status == OSSCB_STATUS_CANCELLED);
    release(&out);
    out = put(client, "json/a", "data", 4, callback, NULL, NULL);
    succeeded(&out);
    release(&out);
    osscb_cancel_free(cancel);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

typedef struct shared {
    const osscb_client *client;
    const osscb_callback *callback;
    outcome out;
} shared;

static void upload_one(void *argument) {
    shared *self = argument;
    self->out = put_text(self->client, "parallel.txt", self->callback);
}

static void parallel_calls_share_one_client(void) {
    enum { CALLS = 16 };
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/delay/1000", NULL);
    shared calls[CALLS];
    worker *workers[CALLS];
    long begun = now_ms();
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (shared){client, callback, {OSSCB_STATUS_OK, NULL, NULL}};
        workers[i] = start(upload_one, &calls[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        finish(workers[i]);
        succeeded(&calls[i].out);
        release(&calls[i].out);
    }
    CHECK(now_ms() - begun < 1000 * CALLS / 2);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

/* What the library writes to standard error while it uploads in a process with OSS_CALLBACK_LOG. */
static void logged_uploads(const char *level, char *shown, size_t size) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        setenv("OSS_CALLBACK_LOG", level, 1);
        osscb_client *client = client_of(NULL);
        const char *paths[] = {"/ok", "/status/500"};
        for (int i = 0; i < 2; i++) {
            osscb_callback *callback = callback_to(paths[i], NULL);
            char key[32];
            snprintf(key, sizeof key, "log%s", paths[i]);
            outcome out = put_text(client, key, callback);
            release(&out);
            osscb_callback_free(callback);
        }
        osscb_client_free(client);
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t count;
    while (length < size - 1 && (count = read(ends[0], shown + length, size - 1 - length)) > 0) {
        length += (size_t)count;
    }
    shown[length] = '\0';
    close(ends[0]);
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(strstr(shown, testbed("OSS_ACCESS_KEY_SECRET")) == NULL);
}

static void log_is_asked_for_by_the_environment(void) {
    char shown[8192] = "";
    logged_uploads("", shown, sizeof shown);
    CHECK_TEXT(shown, "");
    logged_uploads("debug", shown, sizeof shown);
    const char *uploaded = strstr(shown, ": uploaded ");
    REQUIRE(uploaded != NULL && strstr(uploaded, "log/ok") != NULL);
    const char *failed = strstr(uploaded, ": not uploaded ");
    CHECK(failed != NULL && strstr(failed, "log/status/500") != NULL);
}

static void works_after_fork(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/ok", NULL);
    outcome out = put_text(client, "fork.txt", callback);
    succeeded(&out);
    release(&out);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int failures = 0;
        for (int i = 0; i < 3; i++) {
            out = put_text(client, "fork.txt", callback);
            failures += out.status != OSSCB_STATUS_OK;
            release(&out);
        }
        osscb_callback_free(callback);
        osscb_client_free(client);
        _exit(failures);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (int i = 0; i < 3; i++) {
        out = put_text(client, "fork.txt", callback);
        succeeded(&out);
        release(&out);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void make_one_of_each(void) {
    osscb_client_options *client_options = osscb_client_options_new();
    osscb_put_options *put_options = osscb_put_options_new();
    osscb_callback_options *callback_options = osscb_callback_options_new();
    osscb_signer_options *signer_options = osscb_signer_options_new();
    osscb_upload_options *upload_options = osscb_upload_options_new();
    osscb_completions *queue = osscb_completions_new();
    stream stream = {0};
    osscb_source *source = source_of(&stream, 0);
    osscb_cancel *cancel = osscb_cancel_new();
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/ok", NULL);
    osscb_callback *refused = callback_to("/status/500", NULL);
    osscb_string preview = {NULL, 0};
    osscb_signer *signer = NULL;
    osscb_signed *with_headers = NULL;
    osscb_presigned *with_url = NULL;
    osscb_pairs *conditions = NULL;
    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    request.method = OSSCB_STR("GET");
    request.bucket = BUCKET;
    osscb_signer_options_set_region(signer_options, OSSCB_STR("cn-hangzhou"));
    outcome good = put(client, "freed.txt", "data", 4, callback, put_options, cancel);
    outcome bad = put(client, "freed.txt", "data", 4, refused, NULL, NULL);
    succeeded(&good);
    CHECK(bad.status == OSSCB_STATUS_CALLBACK_FAILED);
    CHECK(osscb_callback_preview(callback, NULL, 0, &preview, NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_signer_new(OSSCB_STR("id"), OSSCB_STR("secret"), signer_options, &signer, NULL) ==
          OSSCB_STATUS_OK);
    CHECK(osscb_signer_sign(signer, &request, OSSCB_NOW, &with_headers, NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_signer_presign(signer, &request, OSSCB_NO_STR, OSSCB_ADDRESSING_AUTO, 60, OSSCB_NOW, &with_url,
                               NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_signer_policy_conditions(signer, OSSCB_NOW, &conditions, NULL) == OSSCB_STATUS_OK);
    osscb_pairs_free(conditions);
    osscb_presigned_free(with_url);
    osscb_signed_free(with_headers);
    osscb_signer_free(signer);
    osscb_string_free(&preview);
    release(&bad);
    release(&good);
    osscb_callback_free(refused);
    osscb_callback_free(callback);
    osscb_client_free(client);
    osscb_cancel_free(cancel);
    osscb_signer_options_free(signer_options);
    osscb_callback_options_free(callback_options);
    osscb_put_options_free(put_options);
    osscb_source_free(source);
    osscb_completions_free(queue);
    osscb_upload_options_free(upload_options);
    osscb_client_options_free(client_options);
}

static void handles_are_freed(void) {
    uint64_t before = osscb_live_handles();
    osscb_cancel *one = osscb_cancel_new();
    CHECK(osscb_live_handles() == before + 1);
    osscb_cancel_free(one);
    make_one_of_each();
    CHECK(osscb_live_handles() == before);
}

const test life_tests[] = {
    TEST(cancel_ends_the_call_promptly),
    TEST(parallel_calls_share_one_client),
    TEST(log_is_asked_for_by_the_environment),
    TEST(works_after_fork),
    TEST(handles_are_freed),
};
const size_t life_tests_count = sizeof life_tests / sizeof *life_tests;
