// The scenarios of tests/scenarios.toml in C++. Those of signing and callbacks' vectors: vectors.cpp.

#include "support.hpp"

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

static void reply_comes_back() {
    const oss::Client client(options());
    const auto reply = put(client, "reply.txt", callback_to("/ok"));
    SAME(reply.body(), "{\"Status\":\"OK\"}");
    SAME(reply.text(), "{\"Status\":\"OK\"}");
    SAME(reply.json(), "{\"Status\":\"OK\"}");
    SAME(reply.content_type().value_or(""), "application/json");
    SAME(reply.etag().value_or(""), "F0F18C2C66AE1DD512BDCD4366F76DA3");
    CHECK(reply.crc64().has_value());
    CHECK(reply.request_id().value_or("").size() == 24);
    CHECK(!reply.version_id().has_value());
    CHECK(reply.server_time().has_value());
    SAME(client.region().value_or(""), testbed("OSS_REGION"));
    SAME(client.endpoint(), testbed("OSS_ENDPOINT"));
}

static void application_server_receives_the_callback() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.body = "{\"object\":${object},\"size\":${size},\"note\":${x:note}}";
    from.body_type = oss::BodyType::Json;
    from.vars = {{"note", "brød & \"smør\" 中文"}};
    from.headers = {{"x-my-header", "mine"}};
    const auto reply = put(client, "dir/ø.txt", callback_to("/echo", from));
    const auto echo = parsed(reply.body());
    const auto body = parsed(text_in(echo, "body"));
    SAME(text_in(echo, "method"), "POST");
    SAME(text_in(body, "object"), "dir/ø.txt");
    SAME(text_in(body, "note"), "brød & \"smør\" 中文");
    CHECK(reply.text().find("x-my-header") != std::string::npos);
}

static void built_fields_reach_the_application_server() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.fields = {{"where", "${bucket}"}, {"bytes", "${size}"}, {"a b", "x=1&y=\"2\""}};
    SAME(echoed(put(client, "a", callback_to("/echo", from))),
         "where=examplebucket&bytes=9&a%20b=x%3D1%26y%3D%222%22");
    from.body_type = oss::BodyType::Json;
    const auto body = parsed(echoed(put(client, "a", callback_to("/echo", from))));
    SAME(text_in(body, "where"), "examplebucket");
    SAME(text_in(body, "a b"), "x=1&y=\"2\"");
}

static void preview_shows_the_body_that_is_sent() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.vars = {{"order", "n° 42/7"}};
    for (const auto type : {oss::BodyType::Form, oss::BodyType::Json}) {
        from.body_type = type;
        const auto callback = callback_to("/echo", from);
        const auto reply = put(client, "dir/a b.txt", callback);
        const auto preview = callback.preview({{"bucket", std::string(BUCKET)},
                                               {"object", "dir/a b.txt"},
                                               {"etag", reply.etag().value_or("")},
                                               {"size", "9"},
                                               {"mimeType", "text/plain"}});
        SAME(preview, echoed(reply));
    }
    const auto error = thrown<oss::InvalidArgumentError>([&] { callback_to("/echo").preview({{"sise", "9"}}); });
    SAME(error ? error->field() : "", "sise");
}

static void reply_views_never_fail_the_upload() {
    const auto client = client_of("FAULTY_ENDPOINT");
    const oss::Callback callback("http://app.example.com/cb");
    const std::pair<const char *, std::string_view> cases[] = {
        {"text/a", "thank you"}, {"empty/a", ""}, {"binary/a", std::string_view("\xfe\x00\xff", 3)}};
    for (const auto &[key, body] : cases) {
        const auto reply = put(client, key, callback);
        CHECK(reply.body() == body);
        thrown<oss::InvalidArgumentError>([&reply = reply] { reply.json(); });
    }
    SAME(put(client, "json/a", callback).json(), "{\"Status\":\"OK\"}");
    // The body of a temporary is a copy, not a view of what is gone.
    const std::string body = put(client, "text/a", callback).body();
    SAME(body, "thank you");
}

static void failed_callback_says_the_object_is_stored() {
    const oss::Client client(options());
    const struct {
        const char *path;
        std::string_view cause;
        const char *ec;
        int status;
    } cases[] = {
        {"/status/500", oss::cause::bad_status, "0007-00000203", 500},
        {"/redirect", oss::cause::bad_status, "0007-00000203", 302},
        {"/reset", oss::cause::unreachable, "0007-00000203", 0},
        {nullptr, oss::cause::unreachable, "0007-00000203", 0},
        {"/empty", oss::cause::bad_content_length, "0007-00000204", 400},
        {"/text", oss::cause::not_json, "0007-00000205", 0},
        {"/bom", oss::cause::not_json, "0007-00000205", 0},
    };
    for (const auto &it : cases) {
        const auto callback = it.path == nullptr ? oss::Callback(testbed("DEAD_URL")) : callback_to(it.path);
        const auto error = thrown<oss::CallbackFailedError>(
            [&] { client.put_object_with_callback(BUCKET, "failed.txt", "data", callback); });
        REQUIRE(error != nullptr);
        CHECK(error->kind() == oss::ErrorKind::CallbackFailed);
        SAME(name_of(error->kind()), "callback_failed");
        CHECK(error->stored());
        CHECK(error->status() == 203);
        CHECK(error->callback_status() == it.status);
        CHECK(error->crc64() == std::uint64_t{14062946763493764991u});
        SAME(error->cause(), it.cause);
        SAME(error->ec(), it.ec);
        SAME(error->etag(), "8D777F385D3DFEC8815D20F7496026DC");
        CHECK(!error->request_id().empty());
        CHECK(std::strstr(error->what(), error->hint().c_str()) != nullptr && !error->hint().empty());
    }
    // Who handles OSS's errors handles this one too.
    thrown<oss::ServiceError>([&] { put(client, "failed.txt", callback_to("/status/500")); });
}

static void callback_in_the_query_works_the_same() {
    const oss::Client client(options());
    oss::PutOptions in_query;
    in_query.callback_in = oss::CallbackPlacement::Query;
    SAME(put(client, "query.txt", callback_to("/ok"), in_query).text(), "{\"Status\":\"OK\"}");
    thrown<oss::CallbackFailedError>([&] { put(client, "query.txt", callback_to("/status/500"), in_query); });
}

static void wrong_secret_is_a_service_error() {
    auto from = options();
    from.access_key_secret = "wr0ng-secret";
    const oss::Client client(from);
    const auto error = thrown<oss::ServiceError>([&] { put(client, "a", callback_to("/ok")); });
    REQUIRE(error != nullptr);
    CHECK(error->kind() == oss::ErrorKind::Service && error->status() == 403);
    SAME(error->code(), "SignatureDoesNotMatch");
    CHECK(!error->string_to_sign().empty() && !error->request_id().empty() && !error->stored());
    CHECK(std::strstr(error->what(), "wr0ng-secret") == nullptr);
}

static void invalid_callback_is_refused_before_anything_is_sent() {
    const auto refused = [](const char *url, std::optional<std::string> body, const char *field, const char *ec) {
        oss::CallbackOptions from;
        from.body = std::move(body);
        const auto error = thrown<oss::InvalidArgumentError>([&] { oss::Callback(url, from); });
        SAME(error ? error->field() : "", field);
        SAME(error ? error->ec() : "", ec);
    };
    refused("http://a.example/cb", "o=${objekt}", "callback.body", "");
    refused("http://a.example/cb", "o=${x:missing}", "callback.body", "");
    refused("http://a.example:port/cb", std::nullopt, "callback.url", "0007-00000004");
}

static void invalid_arguments_name_their_field() {
    // Nobody listens there: whatever is sent is a network error.
    const auto client = client_of("DEAD_ENDPOINT");
    const auto names = [&](std::string_view bucket, std::string_view key, const oss::PutOptions &from,
                           const char *field) {
        const auto error = thrown<oss::InvalidArgumentError>(
            [&] { client.put_object_with_callback(bucket, key, "data", callback_to("/ok"), from); });
        SAME(error ? error->field() : "", field);
    };
    oss::PutOptions slow;
    slow.traffic_limit = 1;
    oss::PutOptions broken;
    broken.metadata = {{"name", "line\r\nbreak: yes"}};
    oss::PutOptions late;
    late.timeout = -5ms;
    oss::PutOptions latin1;
    latin1.content_type = "text/\xe4";
    names("No_Bucket", "a", {}, "bucket");
    names(BUCKET, "", {}, "key");
    names(BUCKET, {}, {}, "key");
    names(BUCKET, "\xff", {}, "key");
    names(BUCKET, "a", slow, "traffic_limit");
    names(BUCKET, "a", broken, "metadata");
    names(BUCKET, "a", late, "timeout");
    names(BUCKET, "a", latin1, "content_type");
}

static void signature_v1_and_v4_work() {
    for (const auto version : {oss::SignatureVersion::V1, oss::SignatureVersion::V4}) {
        auto from = options();
        from.signature_version = version;
        put(oss::Client(from), "versions.txt", callback_to("/ok"));
    }
}

static void sts_token_is_sent_and_checked() {
    auto from = options();
    from.access_key_id = testbed("STS_ACCESS_KEY_ID");
    from.access_key_secret = testbed("STS_ACCESS_KEY_SECRET");
    from.security_token = testbed("STS_TOKEN");
    put(oss::Client(from), "sts.txt", callback_to("/ok"));
    from.security_token = "AnotherToken";
    const auto error = thrown<oss::ServiceError>([&] { put(oss::Client(from), "sts.txt", callback_to("/ok")); });
    CHECK(error != nullptr && error->status() == 403);
}

static void awkward_keys_arrive_byte_for_byte() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.body = "{\"object\":${object}}";
    from.body_type = oss::BodyType::Json;
    const auto callback = callback_to("/echo", from);
    for (const auto key : {"a//b", "a/./b", "a/../b", "../a", "a/.", "a+b", "a%2Fb", "a%", "a?b=c", "a#b", " a ",
                           "a\"b'c", "a&b=c;d", "a\\b", "中文/ключ/🎈", "a\tb", "a/", "..."}) {
        SAME(text_in(parsed(echoed(put(client, key, callback))), "object"), key);
    }
}

static void sizes_0_1_and_64_mib_arrive_whole() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.body = "{\"size\":${size},\"crc64\":${crc64}}";
    from.body_type = oss::BodyType::Json;
    const auto callback = callback_to("/echo", from);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{64} << 20}) {
        const std::vector<std::uint8_t> data(size, std::uint8_t{7});
        const auto reply = client.put_object_with_callback(BUCKET, "sizes.bin", data.data(), size, callback);
        REQUIRE(reply.crc64().has_value());
        SAME(echoed(reply),
             "{\"size\":" + std::to_string(size) + ",\"crc64\":\"" + std::to_string(*reply.crc64()) + "\"}");
    }
}

static void upload_options_arrive() {
    const oss::Client client(options());
    oss::CallbackOptions from;
    from.body = "{\"type\":${mimeType}}";
    from.body_type = oss::BodyType::Json;
    oss::PutOptions upload;
    upload.content_type = "application/x-my-type";
    upload.metadata = {{"Owner", "me"}};
    upload.tagging = {{"a b", "x+y"}};
    upload.acl = oss::ObjectAcl::Private;
    upload.timeout = 30s;
    SAME(echoed(put(client, "options.txt", callback_to("/echo", from), upload)),
         "{\"type\":\"application/x-my-type\"}");
}

static void damaged_data_is_an_integrity_error() {
    const auto client = client_of("FAULTY_ENDPOINT");
    const auto error = thrown<oss::IntegrityError>(
        [&] { put(client, "wrong-crc/a", oss::Callback("http://app.example.com/cb")); });
    REQUIRE(error != nullptr);
    CHECK(!error->is_retryable() && !error->stored() && !error->etag().empty());
}

static void refused_connection_is_a_network_error() {
    const auto client = client_of("DEAD_ENDPOINT");
    const auto error = thrown<oss::NetworkError>([&] { put(client, "a", callback_to("/ok")); });
    REQUIRE(error != nullptr);
    CHECK(error->os_error() == ECONNREFUSED);
    CHECK(std::strstr(error->what(), "127.0.0.1:") != nullptr);
    CHECK(std::strstr(error->what(), "http://") == nullptr);
}

static void timeout_is_reported() {
    const auto client = client_of("FAULTY_ENDPOINT");
    oss::PutOptions hurried;
    hurried.timeout = 300ms;
    const auto begun = std::chrono::steady_clock::now();
    thrown<oss::TimeoutError>([&] { put(client, "hang/a", callback_to("/ok"), hurried); });
    CHECK(std::chrono::steady_clock::now() - begun < HANG / 2);
}

static void cancel_ends_the_call_promptly() {
    const auto client = client_of("FAULTY_ENDPOINT");
    const auto callback = callback_to("/ok");
    const oss::Cancel cancel;
    const auto begun = std::chrono::steady_clock::now();
    std::thread other([&] {
        std::this_thread::sleep_for(100ms);
        cancel.cancel();
    });
    thrown<oss::CancelledError>(
        [&] { client.put_object_with_callback(BUCKET, "hang/a", "data", callback, {}, &cancel); });
    CHECK(std::chrono::steady_clock::now() - begun < HANG / 10);
    CHECK(cancel.is_cancelled());
    other.join();
    put(client, "json/a", callback);
}

static void parallel_calls_share_one_client() {
    const oss::Client client(options());
    const auto callback = callback_to("/delay/1000");
    std::vector<std::thread> threads;
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 16; i++) {
        threads.emplace_back([&] {
            try {
                put(client, "parallel.txt", callback);
            } catch (const std::exception &error) {
                test_fail("parallel: %s", error.what());
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK(std::chrono::steady_clock::now() - begun < 16s / 2);
}

static void handles_are_freed() {
    const auto before = osscb_live_handles();
    {
        oss::Client client(options());
        auto moved = std::move(client);
        const auto callback = callback_to("/ok");
        auto reply = put(moved, "freed.txt", callback);
        reply = put(moved, "freed.txt", callback);
        thrown<oss::CallbackFailedError>([&] { put(moved, "freed.txt", callback_to("/status/500")); });
        callback.preview();
        // A moved-from client is an error and not a crash.
        thrown<oss::InvalidArgumentError>([&] { put(client, "a", callback); });
        CHECK(osscb_live_handles() == before + 3);
    }
    CHECK(osscb_live_handles() == before);
}

const test scenarios[] = {
    SCENARIO_ROW(reply_comes_back),
    SCENARIO_ROW(application_server_receives_the_callback),
    SCENARIO_ROW(built_fields_reach_the_application_server),
    SCENARIO_ROW(preview_shows_the_body_that_is_sent),
    SCENARIO_ROW(reply_views_never_fail_the_upload),
    SCENARIO_ROW(failed_callback_says_the_object_is_stored),
    SCENARIO_ROW(callback_in_the_query_works_the_same),
    SCENARIO_ROW(wrong_secret_is_a_service_error),
    SCENARIO_ROW(invalid_callback_is_refused_before_anything_is_sent),
    SCENARIO_ROW(invalid_arguments_name_their_field),
    SCENARIO_ROW(signature_v1_and_v4_work),
    SCENARIO_ROW(sts_token_is_sent_and_checked),
    SCENARIO_ROW(awkward_keys_arrive_byte_for_byte),
    SCENARIO_ROW(sizes_0_1_and_64_mib_arrive_whole),
    SCENARIO_ROW(upload_options_arrive),
    SCENARIO_ROW(damaged_data_is_an_integrity_error),
    SCENARIO_ROW(refused_connection_is_a_network_error),
    SCENARIO_ROW(timeout_is_reported),
    SCENARIO_ROW(cancel_ends_the_call_promptly),
    SCENARIO_ROW(parallel_calls_share_one_client),
    SCENARIO_ROW(handles_are_freed),
};

int main(int argc, char **argv) { return test_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
