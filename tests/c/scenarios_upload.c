#include "scenarios.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reply_comes_back(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/ok", NULL);
    outcome out = put_text(client, "reply.txt", callback);
    if (succeeded(&out)) {
        const char *json = NULL;
        uint64_t crc64 = 0;
        uint64_t time = 0;
        osscb_bytes body = osscb_reply_body(out.reply);
        CHECK(body.len == 15 && memcmp(body.ptr, "{\"Status\":\"OK\"}", 15) == 0);
        CHECK_TEXT(osscb_reply_text(out.reply), "{\"Status\":\"OK\"}");
        CHECK(osscb_reply_json(out.reply, &json, NULL) == OSSCB_STATUS_OK);
        CHECK_TEXT(json, "{\"Status\":\"OK\"}");
        CHECK_TEXT(osscb_reply_content_type(out.reply), "application/json");
        CHECK_TEXT(osscb_reply_etag(out.reply), "F0F18C2C66AE1DD512BDCD4366F76DA3");
        CHECK(osscb_reply_crc64(out.reply, &crc64));
        CHECK(crc64 == crc64_of((const unsigned char *)"Hello OSS", 9));
        CHECK(osscb_reply_request_id(out.reply) != NULL && strlen(osscb_reply_request_id(out.reply)) == 24);
        CHECK_TEXT(osscb_reply_version_id(out.reply), NULL);
        CHECK(osscb_reply_server_time_ms(out.reply, &time) && time < 60000);
    }
    release(&out);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void application_server_receives_the_callback(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback_options *options = json_body("{\"object\":${object},\"size\":${size},\"note\":${x:note}}");
    osscb_callback_options_add_var(options, OSSCB_STR("note"), OSSCB_STR("br\xc3\xb8" "d & \"sm\xc3\xb8r\" \xe4\xb8\xad"));
    osscb_callback_options_add_header(options, OSSCB_STR("x-my-header"), OSSCB_STR("mine"));
    osscb_callback *callback = callback_to("/echo", options);
    outcome out = put_text(client, "dir/\xc3\xb8.txt", callback);
    if (succeeded(&out)) {
        json *echo = echo_of(out.reply);
        json *body = json_in(echo, "body");
        const json *headers = json_get(echo, "headers");
        bool mine = false;
        CHECK_TEXT(json_text(echo, "method"), "POST");
        CHECK_TEXT(json_text(echo, "target"), "/echo");
        CHECK_TEXT(json_text(body, "object"), "dir/\xc3\xb8.txt");
        CHECK_TEXT(json_text(body, "note"), "br\xc3\xb8" "d & \"sm\xc3\xb8r\" \xe4\xb8\xad");
        CHECK(json_get(body, "size") != NULL && strcmp(json_get(body, "size")->text, "9") == 0);
        for (size_t i = 0; headers != NULL && i < headers->count; i++) {
            const json *pair = headers->values[i].values;
            mine = mine || (strcmp(pair[0].text, "x-my-header") == 0 && strcmp(pair[1].text, "mine") == 0);
        }
        CHECK(mine);
        json_free(body);
        json_free(echo);
    }
    release(&out);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static osscb_callback *with_fields(osscb_body_type type) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_set_body_type(options, type);
    osscb_callback_options_add_field(options, OSSCB_STR("where"), OSSCB_STR("${bucket}"));
    osscb_callback_options_add_field(options, OSSCB_STR("bytes"), OSSCB_STR("${size}"));
    osscb_callback_options_add_field(options, OSSCB_STR("a b"), OSSCB_STR("x=1&y=\"2\""));
    return callback_to("/echo", options);
}

static void built_fields_reach_the_application_server(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *form = with_fields(OSSCB_BODY_TYPE_FORM);
    osscb_callback *as_json = with_fields(OSSCB_BODY_TYPE_JSON);
    outcome out = put_text(client, "fields.txt", form);
    if (succeeded(&out)) {
        json *echo = echo_of(out.reply);
        CHECK_TEXT(json_text(echo, "body"), "where=examplebucket&bytes=9&a%20b=x%3D1%26y%3D%222%22");
        json_free(echo);
    }
    release(&out);
    out = put_text(client, "fields.txt", as_json);
    if (succeeded(&out)) {
        json *echo = echo_of(out.reply);
        json *body = json_in(echo, "body");
        CHECK_TEXT(json_text(body, "where"), "examplebucket");
        CHECK_TEXT(json_text(body, "a b"), "x=1&y=\"2\"");
        CHECK(json_get(body, "bytes") != NULL && strcmp(json_get(body, "bytes")->text, "9") == 0);
        json_free(body);
        json_free(echo);
    }
    release(&out);
    osscb_callback_free(as_json);
    osscb_callback_free(form);
    osscb_client_free(client);
}

static void preview_shows_the_body_that_is_sent(void) {
    osscb_client *client = client_of(NULL);
    for (int round = 0; round < 2; round++) {
        osscb_callback_options *options = osscb_callback_options_new();
        osscb_callback_options_set_body_type(options, round == 0 ? OSSCB_BODY_TYPE_FORM : OSSCB_BODY_TYPE_JSON);
        osscb_callback_options_add_var(options, OSSCB_STR("order"), OSSCB_STR("n\xc2\xb0 42/7"));
        osscb_callback *callback = callback_to("/echo", options);
        outcome out = put_text(client, "dir/a b.txt", callback);
        if (succeeded(&out)) {
            osscb_pair values[] = {
                {OSSCB_STR("bucket"), BUCKET},
                {OSSCB_STR("object"), OSSCB_STR("dir/a b.txt")},
                {OSSCB_STR("etag"), osscb_str_of(osscb_reply_etag(out.reply))},
                {OSSCB_STR("size"), OSSCB_STR("9")},
                {OSSCB_STR("mimeType"), OSSCB_STR("text/plain")},
            };
            osscb_string preview = {NULL, 0};
            json *echo = echo_of(out.reply);
            CHECK(osscb_callback_preview(callback, values, 5, &preview, NULL) == OSSCB_STATUS_OK);
            CHECK_TEXT(preview.ptr, json_text(echo, "body"));
            CHECK(preview.ptr != NULL && strlen(preview.ptr) == preview.len);
            osscb_string_free(&preview);
            json_free(echo);
        }
        release(&out);
        osscb_callback_free(callback);
    }
    osscb_client_free(client);
}

static void reply_views_never_fail_the_upload(void) {
    static const struct {
        const char *key;
        const char *body;
        size_t len;
        const char *text;
    } cases[] = {
        {"json/a", "{\"Status\":\"OK\"}", 15, "{\"Status\":\"OK\"}"},
        {"text/a", "thank you", 9, "thank you"},
        {"empty/a", "", 0, ""},
        {"binary/a", "\xfe\x00\xff", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    osscb_client *client = client_of(testbed("FAULTY_ENDPOINT"));
    osscb_callback *callback = callback_to("http://app.example.com/cb", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outcome out = put_text(client, cases[i].key, callback);
        if (succeeded(&out)) {
            const char *json = NULL;
            osscb_error *error = NULL;
            osscb_bytes body = osscb_reply_body(out.reply);
            osscb_status status = osscb_reply_json(out.reply, &json, &error);
            CHECK(body.len == cases[i].len && memcmp(body.ptr, cases[i].body, body.len) == 0);
            CHECK_TEXT(osscb_reply_text(out.reply), cases[i].text);
            CHECK(status == (i == 0 ? OSSCB_STATUS_OK : OSSCB_STATUS_INVALID_ARGUMENT));
            CHECK((json != NULL) == (i == 0) && (error == NULL) == (i == 0));
            osscb_error_free(error);
        }
        release(&out);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void callback_in_the_query_works_the_same(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback_options *with_var = osscb_callback_options_new();
    osscb_callback_options_add_var(with_var, OSSCB_STR("order"), OSSCB_STR("b+/="));
    osscb_callback *ok = callback_to("/ok", with_var);
    osscb_callback *refused = callback_to("/status/500", NULL);
    osscb_put_options *options = osscb_put_options_new();
    osscb_put_options_set_callback_in(options, OSSCB_CALLBACK_PLACEMENT_QUERY);
    outcome out = put(client, "query.txt", "data", 4, ok, options, NULL);
    if (succeeded(&out)) {
        CHECK_TEXT(osscb_reply_text(out.reply), "{\"Status\":\"OK\"}");
    }
    release(&out);
    out = put(client, "query.txt", "data", 4, refused, options, NULL);
    CHECK(out.status == OSSCB_STATUS_CALLBACK_FAILED);
    release(&out);
    osscb_put_options_free(options);
    osscb_callback_free(refused);
    osscb_callback_free(ok);
    osscb_client_free(client);
}

static void signature_v1_and_v4_work(void) {
    static const osscb_signature_version versions[] = {OSSCB_SIGNATURE_VERSION_V4, OSSCB_SIGNATURE_VERSION_V1};
    osscb_callback *callback = callback_to("/ok", NULL);
    for (int i = 0; i < 2; i++) {
        osscb_client *client = client_with(NULL, NULL, NULL, versions[i]);
        outcome out = put_text(client, "versions.txt", callback);
        succeeded(&out);
        release(&out);
        osscb_client_free(client);
    }
    osscb_callback_free(callback);
}

static void sts_token_is_sent_and_checked(void) {
    osscb_callback *callback = callback_to("/ok", NULL);
    osscb_client *client = client_with(NULL, NULL, testbed("STS_TOKEN"), OSSCB_SIGNATURE_VERSION_V4);
    outcome out = put_text(client, "sts.txt", callback);
    succeeded(&out);
    release(&out);
    osscb_client_free(client);
    client = client_with(NULL, NULL, "AnotherToken", OSSCB_SIGNATURE_VERSION_V4);
    out = put_text(client, "sts.txt", callback);
    CHECK(out.status == OSSCB_STATUS_SERVICE);
    CHECK(osscb_error_status(out.error) == 403);
    CHECK(strstr(osscb_error_message(out.error), "AnotherToken") == NULL);
    release(&out);
    osscb_client_free(client);
    osscb_callback_free(callback);
}

static void awkward_keys_arrive_byte_for_byte(void) {
    static const char *const keys[] = {
        "a//b", "a/./b", "a/../b", "../a", "./a", "a/..", "a/.", "a+b", "a%b", "a%2Fb", "a%2e%2e/b", "a?b=c",
        "a#b", "a b", " a ", "a\"b'c", "a&b=c;d", "a\\b", "a:b@c", "~!*()[]{}|^`<>", "a\tb", "a/", "...", "%",
        "\xe4\xb8\xad\xe6\x96\x87/\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87/\xf0\x9f\x8e\x88", "a\xcc\x81", "+",
    };
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/echo", json_body("{\"object\":${object}}"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        outcome out = put_text(client, keys[i], callback);
        if (succeeded(&out)) {
            json *echo = echo_of(out.reply);
            json *body = json_in(echo, "body");
            CHECK_TEXT(json_text(body, "object"), keys[i]);
            json_free(body);
            json_free(echo);
        }
        release(&out);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
}

static void sizes_0_1_and_64_mib_arrive_whole(void) {
    static const size_t sizes[] = {0, 1, 64u << 20};
    unsigned char *data = malloc(sizes[2]);
    REQUIRE(data != NULL);
    for (size_t i = 0; i < sizes[2]; i++) {
        data[i] = (unsigned char)(i % 251);
    }
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/echo", json_body("{\"size\":${size}}"));
    for (int i = 0; i < 3; i++) {
        /* An exact copy, so that a read past the end is one past the allocation. */
        unsigned char *exact = malloc(sizes[i] == 0 ? 1 : sizes[i]);
        REQUIRE(exact != NULL);
        memcpy(exact, data, sizes[i]);
        outcome out = put(client, "sizes.bin", sizes[i] == 0 ? NULL : exact, sizes[i], callback, NULL, NULL);
        free(exact);
        if (succeeded(&out)) {
            char wanted[32];
            uint64_t crc64 = 0;
            json *echo = echo_of(out.reply);
            snprintf(wanted, sizeof wanted, "{\"size\":%zu}", sizes[i]);
            CHECK_TEXT(json_text(echo, "body"), wanted);
            CHECK(osscb_reply_crc64(out.reply, &crc64) && crc64 == crc64_of(data, sizes[i]));
            json_free(echo);
        }
        release(&out);
    }
    osscb_callback_free(callback);
    osscb_client_free(client);
    free(data);
}

static void upload_options_arrive(void) {
    osscb_client *client = client_of(NULL);
    osscb_callback *callback = callback_to("/echo", json_body("{\"type\":${mimeType}}"));
    osscb_put_options *options = osscb_put_options_new();
    osscb_put_options_set_content_type(options, OSSCB_STR("application/x-my-type"));
    osscb_put_options_set_content_md5(options, OSSCB_STR("auto"));
    osscb_put_options_set_acl(options, OSSCB_OBJECT_ACL_PRIVATE);
    osscb_put_options_set_storage_class(options, OSSCB_STORAGE_CLASS_IA);
    osscb_put_options_add_meta(options, OSSCB_STR("Owner"), OSSCB_STR("me"));
    osscb_put_options_add_tag(options, OSSCB_STR("a b"), OSSCB_STR("x+y"));
    osscb_put_options_set_traffic_limit(options, 8192000);
    osscb_put_options_set_timeout_ms(options, 30000);
    osscb_put_options_set_forbid_overwrite(options, true);
    char key[64];
    snprintf(key, sizeof key, "options-%ld.txt", now_ms());
    outcome out = put(client, key, "data", 4, callback, options, NULL);
    if (succeeded(&out)) {
        json *echo = echo_of(out.reply);
        CHECK_TEXT(json_text(echo, "body"), "{\"type\":\"application/x-my-type\"}");
        json_free(echo);
    }
    release(&out);
    /* The same options are used again: they are not eaten by a call. */
    out = put(client, key, "data", 4, callback, options, NULL);
    CHECK(out.status == OSSCB_STATUS_SERVICE);
    CHECK_TEXT(osscb_error_code(out.error), "FileAlreadyExists");
    release(&out);
    osscb_put_options_free(options);
    osscb_callback_free(callback);
    osscb_client_free(client);
}

const test upload_tests[] = {
    TEST(reply_comes_back),
    TEST(application_server_receives_the_callback),
    TEST(built_fields_reach_the_application_server),
    TEST(preview_shows_the_body_that_is_sent),
    TEST(reply_views_never_fail_the_upload),
    TEST(callback_in_the_query_works_the_same),
    TEST(signature_v1_and_v4_work),
    TEST(sts_token_is_sent_and_checked),
    TEST(awkward_keys_arrive_byte_for_byte),
    TEST(sizes_0_1_and_64_mib_arrive_whole),
    TEST(upload_options_arrive),
};
const size_t upload_tests_count = sizeof upload_tests / sizeof *upload_tests;
