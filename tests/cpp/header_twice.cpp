// The headers alone, twice, before any other; and each macro of C's once. In C++20 also with designated
// initialisers.
#include "oss_callback.hpp"
#include "oss_callback.hpp"
#include "oss_callback/receive.hpp"
#include "oss_callback/signer.hpp"
#include "oss_callback/source.hpp"
#include "oss_callback.h"

#include <type_traits>

using namespace oss_callback;

int header_twice();

int header_twice() {
    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    const osscb_str none = OSSCB_NO_STR;
    request.method = OSSCB_STR("GET");
#if __cplusplus >= 202002L
    const PutOptions put{.content_type = "text/plain", .acl = ObjectAcl::Private, .metadata = {{"a", "b"}}};
    const ClientOptions client{.region = "cn-hangzhou", .timeout = std::chrono::seconds(30)};
    const CallbackOptions callback{.vars = {{"order", "42"}}};
    const VerifierOptions verifier{.bucket = {"photos"}, .first_use = [](const auto &, auto) { return true; }};
    if (!put.content_type || !client.timeout || callback.vars.empty() || !verifier.first_use) {
        return 0;
    }
#endif
    return request.size == sizeof request && none.ptr == nullptr && OSSCB_NOW < 0;
}

static_assert(!std::is_copy_constructible_v<Client> && std::is_nothrow_move_constructible_v<Client>);
static_assert(!std::is_copy_constructible_v<Callback> && std::is_nothrow_move_constructible_v<Callback>);
static_assert(!std::is_copy_constructible_v<CallbackReply>);
static_assert(!std::is_copy_constructible_v<CallbackEvent> && std::is_nothrow_move_constructible_v<CallbackEvent>);
static_assert(!std::is_copy_constructible_v<CallbackVerifier>);
static_assert(std::is_copy_constructible_v<Confirmation> && std::is_copy_constructible_v<Answer>);
static_assert(!std::is_copy_constructible_v<Source> && std::is_nothrow_move_constructible_v<Source>);
// Text may mean a path or data: the program says which.
static_assert(!std::is_convertible_v<const char *, Source> && !std::is_convertible_v<std::string, Source>);
static_assert(std::is_convertible_v<std::filesystem::path, Source>);
static_assert(std::is_convertible_v<std::istream &, Source>);
static_assert(std::is_nothrow_copy_constructible_v<CallbackFailedError>);
static_assert(std::is_base_of_v<ServiceError, CallbackFailedError>);
static_assert(std::is_base_of_v<std::runtime_error, Error>);
