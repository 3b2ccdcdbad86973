/* Sources and large uploads: what is read, in how many parts, how far it is, and how it goes on. */
#define _POSIX_C_SOURCE 200809L

#include "scenarios.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

/* A key, and a part of it that no other run has. */
static const char *fresh_key(char *key, size_t room, const char *name) {
    static int count;
    snprintf(key, room, "%s-%ld-%ld-%d", name, (long)getpid(), now_ms(), ++count);
    return key;
}

static osscb_callback *echo(void) { return callback_to("/echo", json_body("{\"size\":${size},\"key\":${object}}")); }

/* The upload succeeded, and OSS and the application server have all of it. */
static void arrived_whole(const outcome *out, const char *key, size_t size, const char *what) {
    if (!succeeded(out)) {
        test_fail("that was %s of %zu bytes", what, size);
        return;
    }
    char wanted[256];
    uint64_t crc64 = 0;
    unsigned char *data = counting(size);
    json *said = echo_of(out->reply);
    snprintf(wanted, sizeof wanted, "{\"size\":%zu,\"key\":\"%s\"}", size, key);
    CHECK_TEXT(json_text(said, "body"), wanted);
    CHECK(osscb_reply_crc64(out->reply, &crc64) && crc64 == crc64_of(data, size));
    json_free(said);
    free(data);
}

static osscb_source *source_of_path(const char *path) {
    osscb_source *source = NULL;
    CHECK(osscb_source_of_path(osscb_str_of(path), &source, NULL) == OSSCB_STATUS_OK);
    return source;
}

/* Writes into a pipe, of which the library reads the other end. */
typedef struct flow {
    int end;
    size_t size;
} flow;

static void pour(void *argument) {
    flow *self = argument;
    unsigned char *data = counting(self->size);
    size_t done = 0;
    ssize_t put = 1;
    while (done < self->size && (put = write(self->end, data + done, self->size - done)) > 0) {
        done += (size_t)put;
    }
    CHECK(done == self->size);
    close(self->end);
    free(data);
}

static void note_release(void *context) { ++*(int *)context; }

static void sources_of_one_size(const osscb_client *client, const osscb_callback *callback, way way, size_t size) {
    char key[128];
    int released = 0;
    unsigned char *data = counting(size);
    char *path = file_of(size);
    osscb_source *source = NULL;

    CHECK(osscb_source_of_memory(data, size, note_release, &released, &source, NULL) == OSSCB_STATUS_OK);
    outcome out = send_source(way, client, fresh_key(key, sizeof key, "memory"), source, callback);
    arrived_whole(&out, key, size, "memory");
    CHECK(released == 1);
    release(&out);

    out = send_source(way, client, fresh_key(key, sizeof key, "path"), source_of_path(path), callback);
    arrived_whole(&out, key, size, "a path");
    release(&out);

    int file = open(path, O_RDONLY);
    CHECK(osscb_source_of_fd(file, &source, NULL) == OSSCB_STATUS_OK);
    close(file);
    out = send_source(way, client, fresh_key(key, sizeof key, "fd"), source, callback);
    arrived_whole(&out, key, size, "an open file");
    release(&out);

    int ends[2] = {-1, -1};
    CHECK(pipe(ends) == 0);
    flow into = {ends[1], size};
    worker *writer = start(pour, &into);
    CHECK(osscb_source_of_fd(ends[0], &source, NULL) == OSSCB_STATUS_OK);
    close(ends[0]);
    out = send_source(way, client, fresh_key(key, sizeof key, "pipe"), source, callback);
    finish(writer);
    arrived_whole(&out, key, size, "a pipe");
    release(&out);

    for (int known = 0; known < 2; known++) {
        stream stream = {0};
        stream.size = size;
        stream.step = 100000;
        source = source_of(&stream, known ? size : OSSCB_UNKNOWN);
        out = send_source(way, client, fresh_key(key, sizeof key, "stream"), source, callback);
        CHECK(stream.released == 1);
        arrived_whole(&out, key, size, known ? "a stream of known length" : "a stream");
        release(&out);
    }
    unlink(path);
    free(path);
    free(data);
}

static void sources_of_every_kind_arrive_whole(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = echo();
    for (int way = BY_PUT; way <= BY_STARTED_UPLOAD; way++) {
        sources_of_one_size(client, callback, (enum way)way, 700001);
        outcome out = send_source((enum way)way, client, "none", source_of_path("/tmp/no such file 7"), callback);
        CHECK(out.status == OSSCB_STATUS_SOURCE);
        CHECK(strstr(osscb_error_message(out.error), "/tmp/no such file 7") != NULL);
        release(&out);
    }
    sources_of_one_size(client, callback, BY_PUT, 0);
    /* Above the threshold, in parts; and the second time from the same source. */
    sources_of_one_size(client, callback, BY_UPLOAD, 17 * MIB + 1);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void broken(const osscb_client *client, const char *name, stream stream, uint64_t length, const char *words) {
    for (int way = BY_PUT; way <= BY_STARTED_UPLOAD; way++) {
        char key[128];
        struct stream own = stream;
        osscb_callback *callback = echo();
        outcome out = send_source((enum way)way, client, fresh_key(key, sizeof key, name), source_of(&own, length),
                                  callback);
        CHECK(out.status == OSSCB_STATUS_SOURCE);
        if (out.error == NULL || strstr(osscb_error_message(out.error), words) == NULL) {
            test_fail("%s: %s", name, osscb_error_message(out.error));
        }
        CHECK(!osscb_error_stored(out.error));
        CHECK(own.released == 1);
        CHECK(callbacks_with(key) == 0);
        release(&out);
        osscb_callback_free(callback);
    }
}

static void broken_source_is_a_source_error(void) {
    osscb_client *client = client_of(NULL);
    stream fails = {0};
    fails.size = 600000;
    fails.step = 5000;
    fails.fail_at = 300000;
    fails.failure = "the tape tore";
    fails.answer = -7;
    broken(client, "tape", fails, 600000, "the tape tore");
    broken(client, "tape-unknown", fails, OSSCB_UNKNOWN, "the tape tore");
    fails.failure = "";
    broken(client, "silent", fails, 600000, "-7");
    fails.answer = INT64_MIN;
    broken(client, "least", fails, OSSCB_UNKNOWN, "-9223372036854775808");
    fails.answer = 99999999;
    broken(client, "too-much", fails, OSSCB_UNKNOWN, "99999999 bytes, but had room");
    fails.failure = NULL;
    broken(client, "short", fails, 600001, "600001 were announced");
    broken(client, "long", fails, 599999, "599999 bytes that were announced");
    osscb_client_free(client);
}

static osscb_upload_options *parts_of(uint64_t bytes, uint64_t parallel) {
    osscb_upload_options *options = osscb_upload_options_new();
    osscb_upload_options_set_threshold(options, bytes);
    osscb_upload_options_set_part_size(options, bytes);
    osscb_upload_options_set_parallel(options, parallel);
    return options;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = text == NULL ? 0 : strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static void large_file_goes_in_parts_with_one_callback(void) {
    char key[128];
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = echo();
    osscb_upload_options *options = parts_of(MIB, 2);
    osscb_upload_options_set_content_type(options, OSSCB_STR("video/mp4"));
    char *path = file_of(3 * MIB);
    outcome out = upload(client, fresh_key(key, sizeof key, "large"), source_of_path(path), callback, options, NULL,
                         NULL, NULL);
    arrived_whole(&out, key, 3 * MIB, "parts");
    CHECK(ends_with(osscb_reply_etag(out.reply), "-3"));
    CHECK(callbacks_with(key) == 1);
    release(&out);
    osscb_upload_options_set_threshold(options, 3 * MIB + 1);
    out = upload(client, fresh_key(key, sizeof key, "small"), source_of_path(path), callback, options, NULL, NULL,
                 NULL);
    arrived_whole(&out, key, 3 * MIB, "one request");
    CHECK(osscb_reply_etag(out.reply) != NULL && strchr(osscb_reply_etag(out.reply), '-') == NULL);
    CHECK(callbacks_with(key) == 1);
    release(&out);
    osscb_upload_options_set_part_size(options, 1);
    out = upload(client, key, source_of_path(path), callback, options, NULL, NULL, NULL);
    CHECK(out.status == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK_TEXT(osscb_error_field(out.error), "part_size");
    release(&out);
    unlink(path);
    free(path);
    osscb_upload_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

/* What a progress function was told. */
typedef struct told {
    osscb_progress first;
    osscb_progress last;
    int times;
    bool fell;
    uint64_t stop_at;     /* says no from that many parts on; 0 for never */
    osscb_cancel *cancel; /* is cancelled then, in place of saying no */
} told;

static bool watch(void *context, const osscb_progress *progress) {
    told *self = context;
    if (self->times++ == 0) {
        self->first = *progress;
    }
    self->fell = self->fell || progress->bytes_done < self->last.bytes_done ||
                 progress->parts_done < self->last.parts_done || progress->size < sizeof *progress;
    self->last = *progress;
    bool stop = self->stop_at > 0 && progress->parts_done >= self->stop_at;
    if (stop && self->cancel != NULL) {
        osscb_cancel_now(self->cancel);
        return true;
    }
    return !stop;
}

static void progress_is_told(void) {
    char key[128];
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = echo();
    osscb_upload_options *options = parts_of(MIB, 2);
    char *path = file_of(3 * MIB + 5);
    told seen = {0};
    outcome out = upload(client, fresh_key(key, sizeof key, "told"), source_of_path(path), callback, options, NULL,
                         watch, &seen);
    arrived_whole(&out, key, 3 * MIB + 5, "a watched upload");
    CHECK(seen.times >= 2 && !seen.fell && seen.first.bytes_total == 3 * MIB + 5);
    CHECK(seen.last.bytes_done == 3 * MIB + 5 && seen.last.parts_done == 4 && seen.last.parts_total == 4);
    release(&out);

    stream stream = {0};
    stream.size = 3 * MIB;
    told of_stream = {0};
    out = upload(client, fresh_key(key, sizeof key, "told"), source_of(&stream, OSSCB_UNKNOWN), callback, options, NULL,
                 watch, &of_stream);
    arrived_whole(&out, key, 3 * MIB, "a watched stream");
    CHECK(of_stream.first.bytes_total == OSSCB_UNKNOWN && of_stream.last.bytes_total == OSSCB_UNKNOWN);
    CHECK(of_stream.last.bytes_done == 3 * MIB && of_stream.last.parts_done == 3);
    release(&out);

    /* Saying no ends the upload, and leaves the caller's own handle alone. */
    osscb_cancel *cancel = osscb_cancel_new();
    osscb_upload_options_set_parallel(options, 1);
    told stopped = {0};
    stopped.stop_at = 1;
    out = upload(client, fresh_key(key, sizeof key, "told"), source_of_path(path), callback, options, cancel, watch,
                 &stopped);
    CHECK(out.status == OSSCB_STATUS_CANCELLED && !osscb_cancel_is_cancelled(cancel));
    CHECK(callbacks_with(key) == 0);
    release(&out);
    osscb_cancel_free(cancel);
    unlink(path);
    free(path);
    osscb_upload_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void cancelled_upload_resumes_from_its_checkpoint(void) {
    char key[128];
    char checkpoint[256];
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = echo();
    char *path = file_of(3 * MIB);
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", path);
    osscb_upload_options *options = parts_of(MIB / 4, 1);
    osscb_upload_options_set_checkpoint(options, osscb_str_of(checkpoint));
    told seen = {0};
    seen.stop_at = 2;
    seen.cancel = osscb_cancel_new();
    fresh_key(key, sizeof key, "resumed");
    outcome out =
        upload(client, key, source_of_path(path), callback, options, seen.cancel, watch, &seen);
    CHECK(out.status == OSSCB_STATUS_CANCELLED);
    CHECK(access(checkpoint, F_OK) == 0);
    release(&out);
    told again = {0};
    out = upload(client, key, source_of_path(path), callback, options, NULL, watch, &again);
    arrived_whole(&out, key, 3 * MIB, "a resumed upload");
    CHECK(again.first.bytes_done >= MIB / 2 && again.last.parts_done == 12);
    CHECK(access(checkpoint, F_OK) != 0);
    CHECK(callbacks_with(key) == 1);
    release(&out);

    FILE *damaged = fopen(checkpoint, "w");
    REQUIRE(damaged != NULL);
    fputs("{\"version\":", damaged);
    fclose(damaged);
    out = upload(client, key, source_of_path(path), callback, options, NULL, NULL, NULL);
    CHECK(out.status == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(strstr(osscb_error_message(out.error), checkpoint) != NULL);
    release(&out);
    unlink(checkpoint);
    unlink(path);
    free(path);
    osscb_cancel_free(seen.cancel);
    osscb_upload_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void cancelled_upload_leaves_no_parts(void) {
    char key[128];
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = echo();
    osscb_upload_options *options = parts_of(MIB / 4, 2);
    told seen = {0};
    seen.stop_at = 2;
    seen.cancel = osscb_cancel_new();
    stream stream = {0};
    stream.size = 3 * MIB;
    outcome out = upload(client, fresh_key(key, sizeof key, "left"), source_of(&stream, stream.size), callback, options,
                         seen.cancel, watch, &seen);
    CHECK(out.status == OSSCB_STATUS_CANCELLED && seen.last.parts_done >= 2);
    CHECK(stream.released == 1);
    release(&out);
    char *left = fetched(testbed("CONTROL_URL"), "/uploads?bucket=examplebucket");
    CHECK(*left == '[' && strstr(left, key) == NULL);
    free(left);
    osscb_cancel_free(seen.cancel);
    osscb_upload_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void busy_service_is_retried(void) {
    char key[128];
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    outcome out = put_text(client, fresh_key(key, sizeof key, "busy/2/c"), callback);
    succeeded(&out);
    release(&out);
    osscb_client_free(client);
    osscb_client_options *options = osscb_client_options_new();
    osscb_client_options_set_endpoint(options, osscb_str_of(testbed("FAULTY_ENDPOINT")));
    osscb_client_options_set_region(options, osscb_str_of(testbed("OSS_REGION")));
    osscb_client_options_set_access_key_id(options, OSSCB_STR("id"));
    osscb_client_options_set_access_key_secret(options, OSSCB_STR("secret"));
    osscb_client_options_set_retries(options, 0);
    CHECK(osscb_client_new(options, &client, NULL) == OSSCB_STATUS_OK);
    out = put_text(client, fresh_key(key, sizeof key, "busy/2/c"), callback);
    CHECK(out.status == OSSCB_STATUS_SERVICE);
    CHECK(osscb_error_status(out.error) == 503 && osscb_error_is_retryable(out.error));
    release(&out);
    osscb_client_options_free(options);
    osscb_client_free(client);
    osscb_callback_free(callback);
}

static void lost_answer_is_outcome_unknown(void) {
    char key[128];
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    outcome out = put_text(client, fresh_key(key, sizeof key, "lost/c"), callback);
    CHECK(out.status == OSSCB_STATUS_OUTCOME_UNKNOWN);
    CHECK(osscb_error_stored(out.error));
    CHECK(osscb_error_etag(out.error) != NULL);
    release(&out);
    osscb_client_free(client);
    osscb_callback_free(callback);
}

/* A credentials function that counts, and what it gives. */
typedef struct vault {
    const char *secret;
    int64_t expires_at;
    const char *sealed; /* why it fails; NULL if it does not */
    int asked;
    int released;
} vault;

static bool provide(void *context, osscb_credentials *credentials, osscb_failure *failure) {
    vault *self = context;
    self->asked++;
    if (self->sealed != NULL) {
        osscb_failure_set(failure, osscb_str_of(self->sealed));
        return false;
    }
    if (self->asked > 1) {
        self->expires_at = OSSCB_NEVER;
    }
    if (self->secret != NULL) {
        osscb_credentials_set(credentials, osscb_str_of(testbed("OSS_ACCESS_KEY_ID")), osscb_str_of(self->secret),
                              OSSCB_NO_STR, self->expires_at);
    }
    return true;
}

static void close_vault(void *context) { ((vault *)context)->released++; }

static osscb_client *client_with_vault(vault *vault) {
    osscb_client *client = NULL;
    osscb_client_options *options = osscb_client_options_new();
    osscb_client_options_set_endpoint(options, osscb_str_of(testbed("OSS_ENDPOINT")));
    osscb_client_options_set_region(options, osscb_str_of(testbed("OSS_REGION")));
    osscb_client_options_set_credentials_function(options, provide, close_vault, vault);
    CHECK(osscb_client_new(options, &client, NULL) == OSSCB_STATUS_OK);
    osscb_client_options_free(options);
    return client;
}

/* The thread that asked may go on for a moment after the last call. */
static void released_soon(const vault *vault) {
    for (int i = 0; i < 2000 && vault->released == 0; i++) {
        sleep_ms(10);
    }
    CHECK(vault->released == 1);
}

/* Uploads until the function was asked that often: the client asks beside the calls. */
static void asked(const osscb_client *client, const osscb_callback *callback, vault *vault, int times) {
    for (int i = 0; i < 200 && (i < 2 || vault->asked < times); i++) {
        outcome out = put_text(client, "vault.txt", callback);
        succeeded(&out);
        release(&out);
        sleep_ms(i < 2 ? 0 : 50);
    }
    CHECK(vault->asked >= times);
}

static void credentials_function_is_asked(void) {
    osscb_callback *callback = callback_to("/ok", NULL);
    vault fresh = {testbed("OSS_ACCESS_KEY_SECRET"), OSSCB_NEVER, NULL, 0, 0};
    osscb_client *client = client_with_vault(&fresh);
    CHECK(fresh.asked == 0);
    asked(client, callback, &fresh, 1);
    CHECK(fresh.asked == 1 && fresh.released == 0);
    osscb_client_free(client);
    released_soon(&fresh);

    /* Good for some seconds only, so that others are asked for when three quarters of these are over. */
    vault expired = {testbed("OSS_ACCESS_KEY_SECRET"), (int64_t)time(NULL) + 4, NULL, 0, 0};
    client = client_with_vault(&expired);
    asked(client, callback, &expired, 2);
    osscb_client_free(client);
    released_soon(&expired);

    static const struct {
        vault vault;
        const char *words;
    } wrong[] = {
        {{NULL, OSSCB_NEVER, "the vault is sealed", 0, 0}, "the vault is sealed"},
        {{NULL, OSSCB_NEVER, "", 0, 0}, "did not say why"},
        {{NULL, OSSCB_NEVER, NULL, 0, 0}, "osscb_credentials_set"},
        {{"s3cret\n", OSSCB_NEVER, NULL, 0, 0}, "access_key_secret"},
        {{"s3cret\xff", OSSCB_NEVER, NULL, 0, 0}, "UTF-8"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        vault vault = wrong[i].vault;
        client = client_with_vault(&vault);
        outcome out = put_text(client, "vault.txt", callback);
        CHECK(out.status == OSSCB_STATUS_CREDENTIALS);
        if (strstr(osscb_error_message(out.error), wrong[i].words) == NULL) {
            test_fail("`%s` is not in: %s", wrong[i].words, osscb_error_message(out.error));
        }
        CHECK(strstr(osscb_error_message(out.error), "s3cret") == NULL);
        release(&out);
        osscb_client_free(client);
        released_soon(&vault);
    }
    osscb_callback_free(callback);
}

const test source_tests[] = {
    TEST(sources_of_every_kind_arrive_whole),
    TEST(broken_source_is_a_source_error),
    TEST(large_file_goes_in_parts_with_one_callback),
    TEST(progress_is_told),
    TEST(cancelled_upload_resumes_from_its_checkpoint),
    TEST(cancelled_upload_leaves_no_parts),
    TEST(busy_service_is_retried),
    TEST(lost_answer_is_outcome_unknown),
    TEST(credentials_function_is_asked),
};
const size_t source_tests_count = sizeof source_tests / sizeof *source_tests;
