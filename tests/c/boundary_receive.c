/* What C allows to go wrong at the boundary of the receiving side is an error, not a crash: NULL, lengths
 * that cannot be, and functions of the caller's that misbehave. */
#define _POSIX_C_SOURCE 200809L

#include "boundary.h"
#include "received.h"

#include <stdint.h>
#include <string.h>

static const char OFFICIAL_KEY[] = "-----BEGIN PUBLIC KEY-----\n"
                                   "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs\n"
                                   "C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==\n"
                                   "-----END PUBLIC KEY-----\n";

/* A request that OSS has really signed (OSS, Callback). */
static received genuine(void) {
    received out;
    memset(&out, 0, sizeof out);
    out.method = OSSCB_STR("POST");
    out.target = OSSCB_STR("/index.php?id=1&index=2");
    out.body = OSSCB_STR("bucket=yonghu-test");
    out.headers[0].name = OSSCB_STR("Authorization");
    out.headers[0].value =
        OSSCB_STR("kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==");
    out.headers[1].name = OSSCB_STR("x-oss-pub-key-url");
    out.headers[1].value =
        OSSCB_STR("aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==");
    out.headers_count = 2;
    return out;
}

#define VERIFY(verifier, request, headers, count, body, len) \
    osscb_verifier_verify(verifier, (request).method, (request).target, headers, count, body, len, &event, &error)

static void null_handles_and_places_are_refused(void) {
    const received request = genuine();
    osscb_verifier *verifier = verifier_of(NULL);
    osscb_event *event = NULL;
    osscb_confirmation *found = NULL;
    osscb_answer *answer = NULL;
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    osscb_callback *sealed = NULL;
    REFUSED(osscb_verifier_new(NULL, NULL, &error), "verifier", "NULL");
    REFUSED(VERIFY(NULL, request, request.headers, 2, "a", 1), "verifier", "NULL");
    REFUSED(VERIFY(verifier, request, NULL, 2, "a", 1), "headers", "NULL");
    REFUSED(VERIFY(verifier, request, request.headers, 2, NULL, 1), "body", "NULL");
    REFUSED(osscb_verifier_verify(verifier, request.method, request.target, request.headers, 2, "a", 1, NULL, &error),
            "event", "NULL");
    REFUSED(osscb_verifier_verify_signature(NULL, request.method, request.target, NULL, 0, NULL, 0, &error),
            "verifier", "NULL");
    REFUSED(osscb_event_parse("a=1", 3, (osscb_body_type)17, OSSCB_NO_STR, &event, &error), "body_type", "17");
    REFUSED(osscb_event_parse("a=1", 3, OSSCB_BODY_TYPE_FORM, OSSCB_STR("a=${nonsense}"), &event, &error),
            "template", "");
    REFUSED(osscb_event_parse("a=1", 3, OSSCB_BODY_TYPE_FORM, OSSCB_NO_STR, NULL, &error), "event", "NULL");
    REFUSED(osscb_client_confirm(NULL, NULL, NULL, &found, &error), "client", "NULL");
    REFUSED(osscb_client_confirm(NULL, NULL, NULL, NULL, &error), "confirmation", "NULL");
    REFUSED(osscb_callback_sealed_for(NULL, BUCKET, BUCKET, OSSCB_NOW, &sealed, &error), "callback", "NULL");
    REFUSED(osscb_callback_sealed_for(callback, BUCKET, BUCKET, OSSCB_NOW, NULL, &error), "sealed", "NULL");
    REFUSED(osscb_answer_new("{}", 2, NULL, &error), "answer", "NULL");
    REFUSED(osscb_answer_new(NULL, 2, &answer, &error), "json", "NULL");
    CHECK(event == NULL && found == NULL && answer == NULL && sealed == NULL);
    osscb_callback_free(callback);
    osscb_verifier_free(verifier);
}

static void null_is_freed_and_read_without_harm(void) {
    uint64_t number = 7;
    int64_t time = 7;
    osscb_verifier_options_free(NULL);
    osscb_verifier_free(NULL);
    osscb_event_free(NULL);
    osscb_confirmation_free(NULL);
    osscb_answer_free(NULL);
    CHECK_STR(osscb_event_bucket(NULL), NULL);
    CHECK_STR(osscb_event_variable(NULL, OSSCB_STR("a")), NULL);
    CHECK(osscb_event_size(NULL).kind == OSSCB_NUMBER_ABSENT && osscb_event_size(NULL).text.ptr == NULL);
    CHECK(osscb_event_field_count(NULL) == 0 && osscb_event_field_kind(NULL, 0) == OSSCB_FIELD_NONE);
    CHECK(!osscb_event_seal_expires_at(NULL, &time) && time == 7);
    CHECK_TEXT(osscb_confirmation_etag(NULL), NULL);
    CHECK(!osscb_confirmation_size(NULL, &number) && !osscb_confirmation_last_modified(NULL, &time) && number == 7);
    CHECK(osscb_answer_status(NULL) == 0 && osscb_answer_headers(NULL) == NULL && osscb_answer_body(NULL).len == 0);
    CHECK(!osscb_callback_is_to_be_sealed(NULL) && osscb_verifier_max_body(NULL) == 0);
    CHECK(osscb_verifier_body_timeout_ms(NULL) == 0);
    osscb_verifier_options_set_max_body(NULL, 1);
    osscb_verifier_options_set_body_timeout_ms(NULL, 1);
    osscb_verifier_options_set_callback(NULL, NULL);
    osscb_callback_options_set_seal(NULL, OSSCB_STR("a"), 1);
    osscb_key_set(NULL, "a", 1);
    osscb_event *event = event_of("size=5&a=");
    CHECK(!osscb_event_seal_expires_at(event, NULL));
    CHECK_STR(osscb_event_variable(event, OSSCB_STR("\xff")), NULL);
    CHECK_STR(osscb_event_variable(event, OSSCB_NO_STR), NULL);
    CHECK_STR(osscb_event_variable(event, OSSCB_STR("a")), "");
    osscb_event_free(event);
}

static void impossible_lengths_are_refused(void) {
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2 + 1};
    received request = genuine();
    osscb_verifier *verifier = verifier_of(NULL);
    osscb_event *event = NULL;
    osscb_answer *answer = NULL;
    for (size_t i = 0; i < 2; i++) {
        osscb_str text = {"a", lengths[i]};
        REFUSED(VERIFY(verifier, request, request.headers, 2, "a", lengths[i]), "body", "bytes long");
        REFUSED(VERIFY(verifier, request, request.headers, lengths[i], "a", 1), "headers", "elements");
        REFUSED(osscb_event_parse("a", lengths[i], OSSCB_BODY_TYPE_JSON, OSSCB_NO_STR, &event, &error), "body",
                "bytes long");
        REFUSED(osscb_answer_new("{}", lengths[i], &answer, &error), "json", "elements");
        request.target = text;
        REFUSED(VERIFY(verifier, request, request.headers, 2, "a", 1), "target", "bytes long");
        request = genuine();
        request.headers[1].value = text;
        REFUSED(VERIFY(verifier, request, request.headers, 2, "a", 1), "headers", "bytes long");
        request = genuine();
        CHECK(!osscb_str_equals(text, OSSCB_STR("a")));
    }
    osscb_verifier_free(verifier);
}

static void wrong_options_are_told_when_they_are_used(void) {
    static const char *const fields[] = {"callback",    "fetch_key",    "first_use",
                                         "seal_secret", "body_timeout", "template_type"};
    for (int i = 0; i < 6; i++) {
        osscb_verifier_options *options = osscb_verifier_options_new();
        osscb_verifier *verifier = NULL;
        switch (i) {
        case 0:
            osscb_verifier_options_set_callback(options, NULL);
            break;
        case 1:
            osscb_verifier_options_set_fetch_key(options, NULL, NULL, NULL);
            break;
        case 2:
            osscb_verifier_options_set_first_use(options, NULL, NULL, NULL);
            break;
        case 3:
            osscb_verifier_options_add_seal_secret(options, OSSCB_STR("short"));
            break;
        case 4:
            osscb_verifier_options_set_body_timeout_ms(options, 0);
            break;
        default:
            osscb_verifier_options_set_template_type(options, (osscb_body_type)17);
        }
        REFUSED(osscb_verifier_new(options, &verifier, &error), fields[i], "");
        CHECK(verifier == NULL);
        osscb_verifier_options_free(options);
    }
}

static void whoever_reads_a_body_is_told_its_bounds(void) {
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier *verifier = verifier_of(osscb_verifier_options_new());
    CHECK(osscb_verifier_max_body(verifier) == 1 << 20 && osscb_verifier_body_timeout_ms(verifier) == 5000);
    osscb_verifier_free(verifier);
    osscb_verifier_options_set_max_body(options, 7);
    osscb_verifier_options_set_body_timeout_ms(options, 1500);
    verifier = verifier_of(options);
    CHECK(osscb_verifier_max_body(verifier) == 7 && osscb_verifier_body_timeout_ms(verifier) == 1500);
    osscb_verifier_free(verifier);
}

/* Every way in which a key function may answer. */
typedef enum manner { SILENT, NOTHING, NULL_PEM, HUGE_PEM, EMPTY_PEM, NO_KEY, ODD_TEXT, BOTH, SLOW } manner;

typedef struct function {
    manner manner;
    int asked;
    int released;
    osscb_verifier *to_free;
} function;

static bool answer_oddly(void *context, const char *url, osscb_key *key, osscb_failure *failure) {
    function *self = context;
    self->asked++;
    CHECK(strncmp(url, "https://gosspublic.alicdn.com/", 30) == 0);
    switch (self->manner) {
    case SILENT:
        return false;
    case NOTHING:
        return true;
    case NULL_PEM:
        osscb_key_set(key, NULL, 5);
        return true;
    case HUGE_PEM:
        osscb_key_set(key, "a", SIZE_MAX);
        return true;
    case EMPTY_PEM:
        osscb_key_set(key, NULL, 0);
        return true;
    case NO_KEY:
        osscb_key_set(key, "\0\xff", 2);
        return true;
    case ODD_TEXT:
        osscb_key_set(key, OFFICIAL_KEY, sizeof OFFICIAL_KEY - 1);
        osscb_failure_set(failure, OSSCB_STR("\xff no\0 key"));
        return false;
    case SLOW:
        osscb_verifier_free(self->to_free);
        sleep_ms(100);
        break;
    case BOTH:
        osscb_failure_set(failure, OSSCB_STR("not yet"));
        osscb_key_set(key, NULL, 5);
    }
    osscb_key_set(key, OFFICIAL_KEY, sizeof OFFICIAL_KEY - 1);
    return true;
}

static void count_release(void *context) {
    ((function *)context)->released++;
}

static osscb_verifier *asking(function *function) {
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_set_fetch_key(options, answer_oddly, count_release, function);
    return verifier_of(options);
}

static void a_key_function_that_misbehaves_is_an_unavailable_or_a_bad_key(void) {
    static const char *const words[][2] = {
        {OSSCB_REASON_KEY_UNAVAILABLE, "did not say why"},
        {OSSCB_REASON_KEY_UNAVAILABLE, "gave none"},
        {OSSCB_REASON_KEY_UNAVAILABLE, "a PEM that is NULL"},
        {OSSCB_REASON_KEY_UNAVAILABLE, "a PEM that is said"},
        {OSSCB_REASON_BAD_KEY, ""},
        {OSSCB_REASON_BAD_KEY, ""},
        {OSSCB_REASON_KEY_UNAVAILABLE, "\xef\xbf\xbd no"},
    };
    const received request = genuine();
    for (int i = 0; i < 7; i++) {
        function odd = {(manner)i, 0, 0, NULL};
        osscb_verifier *verifier = asking(&odd);
        verdict out = verify(verifier, &request);
        if (!refused(&out, words[i][0]) || strstr(osscb_error_message(out.error), words[i][1]) == NULL) {
            test_fail("case %d: %s", i, osscb_error_message(out.error));
        }
        dismiss(&out);
        osscb_verifier_free(verifier);
        CHECK(odd.asked == 1 && odd.released == 1);
    }
    function last_counts = {BOTH, 0, 0, NULL};
    osscb_verifier *verifier = asking(&last_counts);
    verdict out = verify(verifier, &request);
    accepted(&out);
    dismiss(&out);
    osscb_verifier_free(verifier);
}

static void a_verifier_may_be_freed_while_it_verifies(void) {
    const received request = genuine();
    function slow = {SLOW, 0, 0, NULL};
    slow.to_free = asking(&slow);
    verdict out = verify(slow.to_free, &request);
    accepted(&out);
    CHECK_STR(osscb_event_bucket(out.event), "yonghu-test");
    dismiss(&out);
    CHECK(slow.released == 1);
}

static void contexts_are_released_once_and_always(void) {
    function one = {BOTH, 0, 0, NULL};
    function two = {BOTH, 0, 0, NULL};
    osscb_verifier *verifier = NULL;
    osscb_verifier_options_set_fetch_key(NULL, answer_oddly, count_release, &one);
    CHECK(one.released == 1);
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_set_fetch_key(options, NULL, count_release, &one);
    CHECK(one.released == 2);
    osscb_verifier_options_free(options);
    options = osscb_verifier_options_new();
    osscb_verifier_options_set_fetch_key(options, answer_oddly, count_release, &one);
    CHECK(one.released == 2);
    osscb_verifier_options_set_fetch_key(options, answer_oddly, count_release, &two);
    CHECK(one.released == 3 && two.released == 0);
    CHECK(osscb_verifier_new(options, &verifier, NULL) == OSSCB_STATUS_OK);
    osscb_verifier_options_free(options);
    CHECK(two.released == 0);
    osscb_verifier_free(verifier);
    CHECK(two.released == 1);
}

/* A program may have declared its function wrongly: what it returns is then no bool, and anything but 0 is
 * true, as it is in C. */
static int says_two(void *context, const char *nonce, int64_t expires_at) {
    ((function *)context)->asked++;
    return nonce != NULL && expires_at > 0 && ((function *)context)->asked == 1 ? 2 : 0;
}

static void a_first_use_that_returns_no_bool_is_understood(void) {
    osscb_str secret = OSSCB_STR("0123456789abcdef");
    function odd = {NOTHING, 0, 0, NULL};
    osscb_client *client = client_of(NULL);
    osscb_callback_options *sealing = osscb_callback_options_new();
    osscb_verifier_options *options = trusting();
    json *echo = NULL;
    void (*wrong)(void) = (void (*)(void))says_two;
    osscb_callback_options_set_seal(sealing, secret, 600);
    const received request = receive(client, "two.txt", "a", callback_to("/echo", sealing), &echo);
    osscb_verifier_options_add_seal_secret(options, secret);
    osscb_verifier_options_set_first_use(options, (osscb_first_use_function)wrong, count_release, &odd);
    osscb_verifier *verifier = verifier_of(options);
    verdict out = verify(verifier, &request);
    accepted(&out);
    dismiss(&out);
    out = verify(verifier, &request);
    refused(&out, OSSCB_REASON_REPLAYED);
    dismiss(&out);
    osscb_verifier_free(verifier);
    CHECK(odd.asked == 2 && odd.released == 1);
    json_free(echo);
    osscb_client_free(client);
}

static void a_template_may_come_of_a_callback(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback_options *body = json_body("{\"what\":{\"key\":${object},\"bytes\":${size}},\"who\":${x:user}}");
    osscb_verifier_options *options = trusting();
    osscb_callback *callback = NULL;
    json *echo = NULL;
    char url[512];
    strcat(strcpy(url, testbed("APP_URL")), "/echo");
    osscb_callback_options_add_var(body, OSSCB_STR("user"), OSSCB_STR("me"));
    CHECK(osscb_callback_new(osscb_str_of(url), body, &callback, NULL) == OSSCB_STATUS_OK);
    osscb_callback_options_free(body);
    osscb_verifier_options_set_callback(options, callback);
    const received request = receive(client, "template.txt", "12345", callback, &echo);
    osscb_verifier *verifier = verifier_of(options);
    verdict out = verify(verifier, &request);
    if (accepted(&out)) {
        CHECK_STR(osscb_event_key(out.event), "template.txt");
        CHECK(osscb_event_size(out.event).value == 5);
        CHECK_STR(osscb_event_variable(out.event, OSSCB_STR("user")), "me");
        CHECK_STR(osscb_event_field_name(out.event, 1), "what.bytes");
        CHECK(osscb_event_field_kind(out.event, 1) == OSSCB_FIELD_NUMBER);
    }
    dismiss(&out);
    osscb_verifier_free(verifier);
    json_free(echo);
    osscb_client_free(client);
}

static osscb_verifier *shared;

static void verify_often(void *argument) {
    int *right = argument;
    const received request = genuine();
    for (int i = 0; i < 50; i++) {
        verdict out = verify(shared, &request);
        *right += out.status == OSSCB_STATUS_OK;
        dismiss(&out);
    }
}

static void one_verifier_serves_many_threads(void) {
    function both = {BOTH, 0, 0, NULL};
    worker *workers[8];
    int right[8] = {0};
    shared = asking(&both);
    for (int i = 0; i < 8; i++) {
        workers[i] = start(verify_often, &right[i]);
    }
    for (int i = 0; i < 8; i++) {
        finish(workers[i]);
        CHECK(right[i] == 50);
    }
    osscb_verifier_free(shared);
    CHECK(both.asked == 1 && both.released == 1);
}

static void texts_are_compared_whole(void) {
    CHECK(osscb_str_equals(OSSCB_STR("a\0b"), OSSCB_STR("a\0b")));
    CHECK(!osscb_str_equals(OSSCB_STR("a\0b"), OSSCB_STR("a\0c")));
    CHECK(!osscb_str_equals(OSSCB_STR("a"), OSSCB_STR("ab")));
    CHECK(osscb_str_equals(OSSCB_NO_STR, OSSCB_NO_STR));
    CHECK(!osscb_str_equals(OSSCB_NO_STR, OSSCB_STR("")) && !osscb_str_equals(OSSCB_STR(""), OSSCB_NO_STR));
    CHECK(osscb_str_equals(OSSCB_STR(""), OSSCB_STR("")));
}

static void handles_are_freed(void) {
    const received request = genuine();
    uint64_t before = osscb_live_handles();
    osscb_verifier *verifier = verifier_of(osscb_verifier_options_new());
    osscb_answer *answer = NULL;
    verdict out = verify(verifier, &request);
    CHECK(osscb_answer_new("{}", 2, &answer, NULL) == OSSCB_STATUS_OK);
    CHECK(osscb_live_handles() > before + 2);
    osscb_answer_free(answer);
    osscb_verifier_free(verifier);
    dismiss(&out);
    CHECK(osscb_live_handles() == before);
}

const test receive_boundary_tests[] = {
    TEST(null_handles_and_places_are_refused),
    TEST(null_is_freed_and_read_without_harm),
    TEST(impossible_lengths_are_refused),
    TEST(wrong_options_are_told_when_they_are_used),
    TEST(whoever_reads_a_body_is_told_its_bounds),
    TEST(a_key_function_that_misbehaves_is_an_unavailable_or_a_bad_key),
    TEST(a_verifier_may_be_freed_while_it_verifies),
    TEST(contexts_are_released_once_and_always),
    TEST(a_first_use_that_returns_no_bool_is_understood),
    TEST(a_template_may_come_of_a_callback),
    TEST(one_verifier_serves_many_threads),
    TEST(texts_are_compared_whole),
    TEST(handles_are_freed),
};
const size_t receive_boundary_tests_count = sizeof receive_boundary_tests / sizeof *receive_boundary_tests;
