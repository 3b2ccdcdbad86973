// What the C++ scenarios share. The runner and the JSON reader are those of tests/c.
#ifndef SUPPORT_HPP
#define SUPPORT_HPP

#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "json.h"
#include "oss_callback.hpp"
#include "test.h"

// Of tests/c/support.c.
extern "C" {
/// The body of the answer to a GET; freed by free().
char *fetched(const char *base, const char *path);
/// How many callbacks so far held `text` in their body, as the application server counts them.
int callbacks_with(const char *text);
}

namespace oss = oss_callback;
using namespace std::chrono_literals;

constexpr std::string_view BUCKET = "examplebucket";
/// How long the misbehaving OSS says nothing when asked for hang/. A call that ended long before did not wait
/// for it, however slow the machine is.
constexpr auto HANG = 20s;

/// Runs a test; an exception that leaves it is a failure.
template <void (*Function)()>
void caught() {
    try {
        Function();
    } catch (const std::exception &error) {
        test_fail("uncaught: %s", error.what());
    }
}

#define SCENARIO_ROW(function) {#function, &caught<function>}

/// What `call` throws as `E`; a failure is noted if it throws none or another.
template <typename E, typename Call>
std::unique_ptr<E> thrown(Call &&call) {
    try {
        call();
        test_fail("nothing was thrown");
    } catch (const E &error) {
        return std::make_unique<E>(error);
    } catch (const std::exception &error) {
        test_fail("another was thrown: %s", error.what());
    }
    return nullptr;
}

/// Texts must be equal; both are shown if they are not.
#define SAME(actual, expected) \
    test_check_text(std::string(actual).c_str(), std::string(expected).c_str(), __FILE__, __LINE__, #actual)

inline std::string testbed(const char *name) {
    const char *value = std::getenv(name);
    if (value == nullptr) {
        test_fail("%s is not set: run this under `cargo xtask test cpp`", name);
        return "";
    }
    return value;
}

inline oss::ClientOptions options() {
    oss::ClientOptions out;
    out.endpoint = testbed("OSS_ENDPOINT");
    out.region = testbed("OSS_REGION");
    out.access_key_id = testbed("OSS_ACCESS_KEY_ID");
    out.access_key_secret = testbed("OSS_ACCESS_KEY_SECRET");
    return out;
}

inline oss::Client client_of(const char *endpoint) {
    auto from = options();
    from.endpoint = testbed(endpoint);
    return oss::Client(from);
}

inline oss::Callback callback_to(const std::string &path, const oss::CallbackOptions &from = {}) {
    return oss::Callback(testbed("APP_URL") + path, from);
}

inline oss::CallbackReply put(const oss::Client &client, std::string_view key, const oss::Callback &callback,
                              const oss::PutOptions &from = {}) {
    return client.put_object_with_callback(BUCKET, key, "Hello OSS", callback, from);
}

using Json = std::unique_ptr<json, decltype(&json_free)>;

inline Json parsed(std::string_view text) { return Json(json_parse(text.data(), text.size()), &json_free); }

inline std::string text_in(const Json &value, const char *name) {
    const char *text = json_text(value.get(), name);
    return text == nullptr ? "" : text;
}

/// The body of the callback that /echo received.
inline std::string echoed(const oss::CallbackReply &reply) { return text_in(parsed(reply.body()), "body"); }

#endif
