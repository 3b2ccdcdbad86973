/* The receiving side beyond the signature: the seal, the question to OSS, and the answer. */
#include "received.h"
#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET OSSCB_STR("Zm9yIHRlc3RzIG9ubHksIDMyIGJ5dGVz")

static osscb_callback *sealed(void) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_add_var(options, OSSCB_STR("order"), OSSCB_STR("42"));
    osscb_callback_options_set_seal(options, SECRET, 3600);
    return callback_to("/echo", options);
}

/* Remembers one nonce, which is enough here. */
typedef struct nonces {
    char last[65];
    int64_t expires_at;
    int released;
} nonces;

static bool is_first(void *context, const char *nonce, int64_t expires_at) {
    nonces *self = context;
    if (strcmp(self->last, nonce) == 0) {
        return false;
    }
    snprintf(self->last, sizeof self->last, "%s", nonce);
    self->expires_at = expires_at;
    return true;
}

static void release_nonces(void *context) {
    ((nonces *)context)->released++;
}

static osscb_verifier *demanding(osscb_str first_secret, osscb_str second_secret, nonces *nonces) {
    osscb_verifier_options *options = trusting();
    osscb_verifier_options_add_seal_secret(options, first_secret);
    if (second_secret.ptr != NULL) {
        osscb_verifier_options_add_seal_secret(options, second_secret);
    }
    if (nonces != NULL) {
        osscb_verifier_options_set_first_use(options, is_first, release_nonces, nonces);
    }
    return verifier_of(options);
}

/* What the verifier says of a request, which it frees. */
static void is_judged(osscb_verifier *verifier, const received *request, int64_t time, const char *reason) {
    verdict out = verify_at(verifier, request, time);
    if (reason == NULL) {
        accepted(&out);
    } else {
        refused(&out, reason);
    }
    dismiss(&out);
    osscb_verifier_free(verifier);
}

static void seal_is_demanded_and_used_once(void) {
    static const nonces nothing;
    osscb_client *client = client_of(NULL);
    const osscb_str other = OSSCB_STR("another secret of more than 16 bytes");
    nonces seen = nothing;
    int64_t expires_at = 0;
    json *echo = NULL;
    json *plain = NULL;
    const received request = receive(client, "sealed.txt", "123456789", sealed(), &echo);
    const received without = receive(client, "sealed.txt", "123456789", callback_to("/echo", NULL), &plain);
    osscb_verifier *verifier = demanding(other, SECRET, &seen);
    verdict out = verify(verifier, &request);
    if (accepted(&out)) {
        CHECK_STR(osscb_event_seal_nonce(out.event), seen.last);
        CHECK(osscb_event_seal_expires_at(out.event, &expires_at) && expires_at == seen.expires_at);
        CHECK(osscb_event_variable_count(out.event) == 1);
        CHECK_STR(osscb_event_variable(out.event, OSSCB_STR("order")), "42");
        CHECK(osscb_event_variable(out.event, OSSCB_STR("seal")).len > 60);
    }
    dismiss(&out);
    out = verify(verifier, &request);
    refused(&out, OSSCB_REASON_REPLAYED);
    dismiss(&out);
    osscb_verifier_free(verifier);
    CHECK(seen.released == 1);
    is_judged(demanding(SECRET, other, NULL), &request, OSSCB_NOW, NULL);
    is_judged(demanding(SECRET, OSSCB_NO_STR, NULL), &without, OSSCB_NOW, OSSCB_REASON_SEAL_MISSING);
    is_judged(demanding(other, OSSCB_NO_STR, NULL), &request, OSSCB_NOW, OSSCB_REASON_SEAL_WRONG);
    is_judged(demanding(SECRET, OSSCB_NO_STR, NULL), &request, expires_at - 1, NULL);
    is_judged(demanding(SECRET, OSSCB_NO_STR, NULL), &request, expires_at, OSSCB_REASON_SEAL_EXPIRED);
    json_free(plain);
    json_free(echo);

    /* Sealed beforehand, as for a presigned URL, it belongs to that key alone. */
    osscb_callback *callback = sealed();
    osscb_callback *for_one = NULL;
    CHECK(osscb_callback_is_to_be_sealed(callback));
    CHECK(osscb_callback_sealed_for(callback, BUCKET, OSSCB_STR("one.txt"), 1000, &for_one, NULL) ==
          OSSCB_STATUS_OK);
    CHECK(!osscb_callback_is_to_be_sealed(for_one));
    CHECK(strstr(osscb_callback_vars_json(for_one), "\"x:seal\":\"1.4600.") != NULL);
    osscb_callback_free(callback);
    const received one = receive(client, "one.txt", "123456789", for_one, &echo);
    is_judged(demanding(SECRET, OSSCB_NO_STR, NULL), &one, 1001, NULL);
    json_free(echo);
    osscb_client_free(client);
}

/* Asks OSS, which is to answer with that reason. */
static void is_denied(const osscb_client *client, osscb_event *event, const char *reason) {
    osscb_confirmation *found = NULL;
    osscb_error *error = NULL;
    CHECK(osscb_client_confirm(client, event, NULL, &found, &error) == OSSCB_STATUS_VERIFICATION && found == NULL);
    CHECK_TEXT(osscb_error_reason(error), reason);
    CHECK(osscb_error_request_id(error) != NULL);
    osscb_error_free(error);
    osscb_event_free(event);
}

static void confirm_asks_oss(void) {
    osscb_client *client = client_of(NULL);
    osscb_verifier *verifier = verifier_of(trusting());
    osscb_confirmation *found = NULL;
    osscb_error *error = NULL;
    uint64_t number = 0;
    int64_t time = 0;
    json *echo = NULL;
    received request = receive(client, "confirmed.txt", "123456789", callback_to("/echo", NULL), &echo);
    verdict out = verify(verifier, &request);
    if (accepted(&out) &&
        CHECK(osscb_client_confirm(client, out.event, NULL, &found, &error) == OSSCB_STATUS_OK)) {
        CHECK_TEXT(osscb_confirmation_etag(found), "25F9E794323B453885F5181F1B624D0B");
        CHECK(osscb_confirmation_size(found, &number) && number == 9);
        CHECK(osscb_confirmation_crc64(found, &number) && number == UINT64_C(11051210869376104954));
        CHECK_TEXT(osscb_confirmation_content_type(found), "text/plain");
        CHECK(osscb_confirmation_last_modified(found, &time) && time > 1700000000);
        CHECK_TEXT(osscb_confirmation_version_id(found), NULL);
        CHECK(osscb_confirmation_request_id(found) != NULL);
    }
    osscb_confirmation_free(found);
    osscb_error_free(error);
    found = NULL;
    error = NULL;
    osscb_cancel *cancel = osscb_cancel_new();
    osscb_cancel_now(cancel);
    CHECK(osscb_client_confirm(client, out.event, cancel, &found, &error) == OSSCB_STATUS_CANCELLED);
    osscb_cancel_free(cancel);
    osscb_error_free(error);
    osscb_callback *callback = callback_to("/ok", NULL);
    outcome replaced = put_text(client, "confirmed.txt", callback);
    CHECK(succeeded(&replaced));
    release(&replaced);
    osscb_callback_free(callback);
    is_denied(client, out.event, OSSCB_REASON_OBJECT_DIFFERS);
    osscb_error_free(out.error);
    is_denied(client, event_of("bucket=examplebucket&object=nowhere&size=9"), OSSCB_REASON_OBJECT_MISSING);
    osscb_event *vague = event_of("bucket=examplebucket&object=a");
    CHECK(osscb_client_confirm(client, vague, NULL, &found, NULL) == OSSCB_STATUS_INVALID_ARGUMENT);
    osscb_event_free(vague);
    json_free(echo);
    osscb_verifier_free(verifier);
    osscb_client_free(client);
}

static void not_answered(const void *text, size_t len, const char *ec) {
    osscb_answer *answer = NULL;
    osscb_error *error = NULL;
    CHECK(osscb_answer_new(text, len, &answer, &error) == OSSCB_STATUS_INVALID_ARGUMENT && answer == NULL);
    CHECK_TEXT(osscb_error_ec(error), ec);
    osscb_error_free(error);
}

static void answer_is_checked_before_it_is_sent(void) {
    osscb_answer *answer = NULL;
    size_t large = 1024 * 1024 + 1;
    char *digits = malloc(large);
    CHECK(osscb_answer_new("{\"Status\":\"OK\"}", 15, &answer, NULL) == OSSCB_STATUS_OK);
    const osscb_pairs *headers = osscb_answer_headers(answer);
    osscb_bytes body = osscb_answer_body(answer);
    CHECK(osscb_answer_status(answer) == 200);
    CHECK(osscb_pairs_count(headers) == 2);
    CHECK_TEXT(osscb_pairs_name(headers, 0), "Content-Type");
    CHECK_TEXT(osscb_pairs_value(headers, 0), "application/json");
    CHECK_TEXT(osscb_pairs_name(headers, 1), "Content-Length");
    CHECK_TEXT(osscb_pairs_value(headers, 1), "15");
    CHECK(body.len == 15 && memcmp(body.ptr, "{\"Status\":\"OK\"}", 15) == 0);
    osscb_answer_free(answer);
    answer = osscb_answer_new_refusal();
    CHECK(osscb_answer_status(answer) == 403);
    CHECK(osscb_answer_body(answer).len > 0);
    osscb_answer_free(answer);
    answer = osscb_answer_new_failure();
    CHECK(osscb_answer_status(answer) == 500);
    osscb_answer_free(answer);
    REQUIRE(digits != NULL);
    memset(digits, '1', large);
    not_answered("", 0, NULL);
    not_answered("thank you", 9, "0007-00000205");
    not_answered("\xef\xbb\xbf{}", 5, "0007-00000205");
    not_answered("\"\xff\"", 3, "0007-00000205");
    not_answered(digits, large, "0007-00000204");
    free(digits);
}

const test receive_tests[] = {
    TEST(seal_is_demanded_and_used_once),
    TEST(confirm_asks_oss),
    TEST(answer_is_checked_before_it_is_sent),
};
const size_t receive_tests_count = sizeof receive_tests / sizeof *receive_tests;
