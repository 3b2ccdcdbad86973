/* `memory CALLS`: makes that many calls of each kind that a program repeats, and fails if memory grows by
 * 16 bytes a call or more, each time that this is tried. Run with 100000 calls it notices a leak of 64 bytes in
 * any one of them. */
#define _POSIX_C_SOURCE 200809L

#include "received.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ATTEMPTS = 3 };

static long resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) {
        pages = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

/* A callback that is accepted, and one that is not. */
static void receive_two(void) {
    const osscb_pair headers[] = {
        {OSSCB_STR("authorization"),
         OSSCB_STR("kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==")},
        {OSSCB_STR("x-oss-pub-key-url"),
         OSSCB_STR("aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==")},
    };
    osscb_verifier *verifier = verifier_of(osscb_verifier_options_new());
    osscb_answer *answer = NULL;
    verdict good = {OSSCB_STATUS_OK, NULL, NULL};
    verdict bad = {OSSCB_STATUS_OK, NULL, NULL};
    good.status = osscb_verifier_verify(verifier, OSSCB_STR("POST"), OSSCB_STR("/index.php?id=1&index=2"), headers, 2,
                                        "bucket=yonghu-test", 18, &good.event, &good.error);
    bad.status = osscb_verifier_verify(verifier, OSSCB_STR("POST"), OSSCB_STR("/index.php"), headers, 2,
                                       "bucket=yonghu-test", 18, &bad.event, &bad.error);
    CHECK(good.status == OSSCB_STATUS_OK && bad.status == OSSCB_STATUS_VERIFICATION);
    CHECK(osscb_answer_new("{}", 2, &answer, NULL) == OSSCB_STATUS_OK);
    osscb_answer_free(answer);
    dismiss(&bad);
    dismiss(&good);
    osscb_verifier_free(verifier);
}

static bool go_on(void *context, const osscb_progress *progress) {
    (void)context;
    return progress->size > 0;
}

/* A stream by a call that blocks, and one that breaks by a call that is started. */
static void sources(const osscb_client *client, const osscb_callback *callback) {
    stream whole = {0};
    whole.size = 1000;
    outcome out = upload(client, "json/a", source_of(&whole, 1000), callback, NULL, NULL, go_on, NULL);
    succeeded(&out);
    release(&out);
    stream broken = whole;
    broken.at = 0;
    broken.failure = "broken";
    broken.answer = -1;
    broken.fail_at = 10;
    out = send_source(BY_STARTED_PUT, client, "json/a", source_of(&broken, 1000), callback);
    CHECK(out.status == OSSCB_STATUS_SOURCE && whole.released == 1);
    release(&out);
}

/* Calls that are moved: to the end, and given up half-way in one case of many, as that costs a connection. */
static void moved(const osscb_client *client, const osscb_callback *callback) {
    static long round = 0;
    bool give_up = round++ % 50 == 0;
    osscb_call *call = NULL;
    osscb_reply *reply = NULL;
    osscb_wait wait;
    const char *key = give_up ? "hang/a" : "json/a";
    CHECK(osscb_begin_put_object_with_callback(client, BUCKET, osscb_str_of(key), "Hello OSS", 9, callback, NULL, NULL,
                                               &call, NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_call_advance(call, &wait, &reply, NULL) == OSSCB_STATUS_OK);
    if (!give_up && reply == NULL) {
        CHECK(osscb_call_finish(call, &reply, NULL) == OSSCB_STATUS_OK);
    }
    osscb_reply_free(reply);
    osscb_call_free(call);
}

/* A failed and a successful upload, streams, an option refused, a callback, a signature. */
static void one_round(const osscb_client *client, const osscb_callback *callback, const osscb_signer *signer) {
    osscb_put_options *options = osscb_put_options_new();
    osscb_put_options_add_meta(options, OSSCB_STR("name"), OSSCB_STR("value"));
    outcome good = put(client, "json/a", "Hello OSS", 9, callback, options, NULL);
    outcome bad = put(client, "failed/a", "Hello OSS", 9, callback, options, NULL);
    osscb_put_options_set_traffic_limit(options, 1);
    outcome refused = put(client, "json/a", "Hello OSS", 9, callback, options, NULL);
    succeeded(&good);
    CHECK(bad.status == OSSCB_STATUS_CALLBACK_FAILED && refused.status == OSSCB_STATUS_INVALID_ARGUMENT);
    CHECK(*osscb_reply_text(good.reply) == '{');
    release(&refused);
    release(&bad);
    release(&good);
    osscb_put_options_free(options);
    sources(client, callback);
    moved(client, callback);

    osscb_callback *other = callback_to("http://app.example.com/cb", json_body("{\"o\":${object}}"));
    osscb_string preview = {NULL, 0};
    CHECK(osscb_callback_preview(other, NULL, 0, &preview, NULL) == OSSCB_STATUS_OK);
    osscb_string_free(&preview);
    osscb_callback_free(other);

    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    osscb_presigned *signed_url = NULL;
    request.method = OSSCB_STR("GET");
    request.bucket = BUCKET;
    CHECK(osscb_signer_presign(signer, &request, OSSCB_NO_STR, OSSCB_ADDRESSING_AUTO, 60, OSSCB_NOW, &signed_url,
                               NULL) == OSSCB_STATUS_OK);
    osscb_presigned_free(signed_url);
    receive_two();
}

int main(int argc, char **argv) {
    long calls = argc > 1 ? atol(argv[1]) : 2000;
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_signer_options *options = osscb_signer_options_new();
    osscb_signer *signer = NULL;
    signal(SIGPIPE, SIG_IGN);
    osscb_signer_options_set_region(options, OSSCB_STR("cn-hangzhou"));
    if (osscb_signer_new(OSSCB_STR("id"), OSSCB_STR("secret"), options, &signer, NULL) != OSSCB_STATUS_OK) {
        return 2;
    }
    osscb_signer_options_free(options);
    for (long i = 0; i < calls / 10 + 200; i++) {
        one_round(client, callback, signer);
    }
    uint64_t handles = osscb_live_handles();
    bool flat = false;
    /* What leaks grows every time; a heap that malloc makes for a thread that meets another does once. */
    for (int attempt = 0; attempt < ATTEMPTS && !flat; attempt++) {
        long before = resident_bytes();
        for (long i = 0; i < calls; i++) {
            one_round(client, callback, signer);
        }
        long grown = resident_bytes() - before;
        flat = grown < calls * 16 + 256 * 1024 && osscb_live_handles() == handles;
        fprintf(stderr, "    %ld rounds: memory grew by %ld bytes, handles by %ld\n", calls, grown,
                (long)(osscb_live_handles() - handles));
    }
    printf("%s memory_stays_flat\n%d passed, %d failed\n", flat ? "ok" : "not ok", flat, !flat);
    osscb_signer_free(signer);
    osscb_callback_free(callback);
    osscb_client_free(client);
    return flat ? 0 : 1;
}
